-- Revision and time together identify what the tables hold: after a restore from a backup revision numbers come again, for
-- other results. Gateways resume clients by both.
alter table evaluations add column revised_at timestamptz not null default clock_timestamp();

comment on column evaluations.revised_at is 'when revision last grew';
