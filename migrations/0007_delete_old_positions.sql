-- Old positions are deleted in steps by the prune job: each call is a short transaction with few locks. The functions run
-- as the owner, so that the job's role can do nothing else.

-- Deletes at most max_rows rows older than keep, from the device after after_device on ('' for the first), since
-- the only index begins with the device. next_device is where to go on; null at the end.
create function delete_old_positions(
  keep interval, after_device text, max_rows integer, out deleted integer, out next_device text
)
language plpgsql security definer set search_path from current as $function$
declare
  max_devices constant integer := 1000;
  device text;
  device_rows integer;
begin
  if keep <= interval '0' then
    raise exception 'positions must be kept for longer than %', keep;
  end if;
  deleted := 0;
  next_device := after_device;
  for _ in 1..max_devices loop
    select device_id into device from positions where device_id > next_device order by device_id limit 1;
    if not found then
      next_device := null;
      return;
    end if;
    delete from positions
     where device_id = device
       and ts <= (
         select max(ts) from (
           select ts from positions where device_id = device and ts < now() - keep order by ts limit max_rows - deleted
         ) as oldest
       );
    get diagnostics device_rows = row_count;
    deleted := deleted + device_rows;
    if deleted >= max_rows then
      return;
    end if;
    next_device := device;
  end loop;
end
$function$;

-- Drops the oldest chunks that hold nothing younger than keep, at most max_chunks: each takes some ten locks until the
-- commit. Returns their number; null if positions is no hypertable.
create function drop_old_chunks(keep interval, max_chunks integer) returns integer
language plpgsql security definer set search_path from current as $function$
declare
  bound timestamptz;
begin
  if keep <= interval '0' then
    raise exception 'positions must be kept for longer than %', keep;
  end if;
  -- A statement of its own: it is only planned where the view exists.
  if to_regclass('timescaledb_information.chunks') is null then
    return null;
  end if;
  if not exists (
    select from timescaledb_information.hypertables
     where hypertable_schema = current_schema() and hypertable_name = 'positions'
  ) then
    return null;
  end if;
  -- Inserts queue behind a drop that waits.
  perform set_config('lock_timeout', '5s', true);
  select max(range_end) into bound from (
    select range_end from timescaledb_information.chunks
     where hypertable_schema = current_schema() and hypertable_name = 'positions' and range_end <= now() - keep
     order by range_end limit max_chunks
  ) as oldest;
  if bound is null then
    return 0;
  end if;
  return (select count(*) from drop_chunks('positions', older_than => bound));
end
$function$;

-- As before, with a hint that names the job.
create or replace function set_positions_retention(keep interval) returns void
language plpgsql as $function$
begin
  if keep <= interval '0' then
    raise exception 'positions must be kept for longer than %', keep;
  end if;
  if not exists (select from pg_extension where extname = 'timescaledb') then
    if keep is null then
      return;
    end if;
    raise exception 'positions is a plain table: retention needs TimescaleDB'
      using hint = 'Run the prune job every night: PRUNE_KEEP_DAYS=180 ./run prune';
  end if;
  perform remove_retention_policy('positions', if_exists => true);
  if keep is not null then
    perform add_retention_policy('positions', drop_after => keep);
  end if;
end
$function$;

revoke execute on function
  delete_old_positions(interval, text, integer), drop_old_chunks(interval, integer)
from public;

do $do$
begin
  if not exists (select from pg_roles where rolname = 'tracking_pruner') then
    create role tracking_pruner nologin;
  end if;
exception
  -- Roles belong to the whole server: another database's migration may be faster.
  when duplicate_object or unique_violation then null;
  when insufficient_privilege then
    raise warning 'The role % may not create the role tracking_pruner', current_user
      using hint = 'The prune job then runs as the owner of positions';
end
$do$;

do $do$
begin
  if exists (select from pg_roles where rolname = 'tracking_pruner') then
    execute format('grant usage on schema %I to tracking_pruner', current_schema());
    grant execute on function
      delete_old_positions(interval, text, integer), drop_old_chunks(interval, integer)
    to tracking_pruner;
  end if;
end
$do$;
