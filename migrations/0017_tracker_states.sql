-- The state without SOS, for those who may not see incidents.
alter table vehicle_states
  add column tracker_state text not null default 'lost',
  add column tracker_state_since timestamptz not null default now();

comment on column vehicle_states.tracker_state is 'as state, but never sos';
comment on column vehicle_states.tracker_state_since is 'server time at which tracker_state was noticed';
