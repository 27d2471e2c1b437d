-- Fixes that were older than PAST_LIMIT_MS when they arrived, nearly all from trackers whose clock is wrong. A plain
-- table: in positions each of their days would be a chunk of its own, and thousands of chunks slow every query.
-- To read all fixes: select * from positions union all select * from positions_past_limit.
create table positions_past_limit (like positions including all);

-- As before, and the processor may use the new table.
create or replace function grant_least_rights() returns void
language plpgsql as $function$
declare
  -- What the gateway reads of Directus' tables, and no column more.
  readable constant text[][] := array[
    ['events', 'id'],
    ['entries', 'id, event_id'],
    ['entry_devices', 'id, entry_id, device_id'],
    ['devices', 'id, imei'],
    ['directus_users', 'id, status']
  ];
  role_name text;
  readable_table text[];
begin
  foreach role_name in array array['tracking_processor', 'tracking_gateway'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      begin
        execute format('create role %I nologin', role_name);
      exception
        -- Roles belong to the whole server: another database's migration may be faster.
        when duplicate_object or unique_violation then null;
        when insufficient_privilege then
          raise warning 'The role % may not create the role %', current_user, role_name
            using hint = format('As one that may: create role %I; then: select grant_least_rights()', role_name);
          return;
      end;
    end if;
    execute format('grant usage on schema %I to %I', current_schema(), role_name);
  end loop;

  -- By EXECUTE: TimescaleDB changes such a statement as it runs it, and a second call would meet what is left of it.
  -- No update and no delete: a fix that is stored is never touched again by a service.
  execute 'grant select, insert on positions to tracking_processor';
  execute 'grant select, insert on positions_past_limit to tracking_processor';
  -- All columns: TimescaleDB refuses a grant of some on a hypertable that has a columnstore.
  execute 'grant select on positions to tracking_gateway';

  foreach readable_table slice 1 in array readable loop
    if to_regclass(readable_table[1]) is null then
      continue;
    end if;
    begin
      execute format('grant select (%s) on %I to tracking_gateway', readable_table[2], readable_table[1]);
    exception
      when insufficient_privilege or undefined_column then
        raise warning 'The gateway cannot be let read %: %', readable_table[1], sqlerrm
          using hint = format(
            'As the owner of that table: grant select (%s) on %I to tracking_gateway',
            readable_table[2], readable_table[1]
          );
    end;
  end loop;
end
$function$;
