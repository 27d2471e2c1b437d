-- Who evaluates which running event. A write of results names holder and epoch, so that an older evaluation never overwrites
-- a newer one; the revision grows by one with each write.
create table evaluations (
  event_id   uuid primary key,
  holder     text not null,
  epoch      bigint not null default 1,
  revision   bigint not null default 0,
  renewed_at timestamptz not null default clock_timestamp()
);

comment on table evaluations is 'who evaluates which event; written by processors';
comment on column evaluations.holder is 'INSTANCE_ID of the processor';
comment on column evaluations.epoch is 'grows whenever a processor takes the event over, itself included';
comment on column evaluations.revision is 'grows by one with each write of results of the event';
comment on column evaluations.renewed_at is 'another processor takes the event over when this is 10 seconds old';

create function grant_evaluation_rights() returns void
language plpgsql as $function$
begin
  -- A role that is missing has been reported.
  if exists (select from pg_roles where rolname = 'tracking_processor') then
    execute 'grant select, insert, update on evaluations to tracking_processor';
  end if;
  if exists (select from pg_roles where rolname = 'tracking_gateway') then
    execute 'grant select on evaluations to tracking_gateway';
  end if;
end
$function$;

create or replace function grant_least_rights() returns void
language plpgsql as $function$
begin
  perform grant_live_rights();
  perform grant_race_rights();
  perform grant_evaluation_rights();
end
$function$;

revoke execute on function grant_evaluation_rights() from public;
