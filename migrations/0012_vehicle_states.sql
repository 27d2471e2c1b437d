-- What each vehicle of a running event does at the moment, by the server's clock. Unlike results it does not follow from
-- positions alone, and it has no history.
create table vehicle_states (
  key            text primary key,
  event_id       uuid not null,
  entry_id       uuid not null,
  computed_at    timestamptz not null default now(),
  state          text not null,
  since          timestamptz not null,
  last_record_at timestamptz
);
create index on vehicle_states (event_id, entry_id);

comment on table vehicle_states is 'the state of each vehicle of a running event that has a tracker';
comment on column vehicle_states.state is 'moving, standing, silent, no_fix, lost or sos';
comment on column vehicle_states.since is 'server time at which the state was noticed';
comment on column vehicle_states.last_record_at is
  'server time at which the newest record arrived before the state changed; null: none ever did';

-- When records with priority 2 (SOS) were stored: the processor finds those of a tracker whose clock is outside the time of
-- the event. Where they are is in positions, or in positions_past_limit.
create table sos_records (
  device_id text not null,
  fix_at    timestamptz not null,
  stored_at timestamptz not null,
  primary key (device_id, fix_at)
);

comment on column sos_records.device_id is 'IMEI';

-- As its owner: whoever stores a fix need not have a right on this table.
create function note_sos_record() returns trigger
language plpgsql security definer as $function$
begin
  insert into sos_records (device_id, fix_at, stored_at) values (new.device_id, new.ts, new.ingested_at)
  on conflict do nothing;
  return null;
end
$function$;

-- As that of note_faulty_change.
do $do$
declare
  path constant text := (select string_agg(quote_ident(name), ', ') from unnest(current_schemas(false)) as name);
begin
  execute format('alter function note_sos_record() set search_path = %s, pg_temp', path);
end
$do$;

create trigger note_sos_record after insert on positions
for each row when (new.priority = 2) execute function note_sos_record();
create trigger note_sos_record after insert on positions_past_limit
for each row when (new.priority = 2) execute function note_sos_record();

create function grant_vehicle_state_rights() returns void
language plpgsql as $function$
begin
  -- A role that is missing has been reported.
  if exists (select from pg_roles where rolname = 'tracking_processor') then
    execute 'grant select, insert, update, delete on vehicle_states to tracking_processor';
    execute 'grant select on sos_records to tracking_processor';
  end if;
  if exists (select from pg_roles where rolname = 'tracking_gateway') then
    execute 'grant select on vehicle_states to tracking_gateway';
  end if;
end
$function$;

create or replace function grant_least_rights() returns void
language plpgsql as $function$
begin
  perform grant_live_rights();
  perform grant_race_rights();
  perform grant_evaluation_rights();
  perform grant_vehicle_state_rights();
end
$function$;

revoke execute on function grant_vehicle_state_rights(), note_sos_record() from public;
