-- Where TimescaleDB is, positions is a hypertable; where it is not, it stays a plain table and all else
-- works alike. A function, because an operator who gets the extension later calls it again:
--   select positions_use_timescaledb();
create function positions_use_timescaledb() returns boolean
language plpgsql as $function$
begin
  if not exists (select from pg_extension where extname = 'timescaledb') then
    if not exists (select from pg_available_extensions where name = 'timescaledb') then
      return false;
    end if;
    -- The library defines this setting when it is preloaded. Creating the extension without ends the connection.
    if coalesce(current_setting('timescaledb.disable_load', true), '') = '' then
      raise warning 'TimescaleDB is installed but not loaded: positions stays a plain table'
        using hint = 'Add timescaledb to shared_preload_libraries, restart, '
          'then: select positions_use_timescaledb()';
      return false;
    end if;
    begin
      -- It greets with a page of text, as a warning.
      perform set_config('client_min_messages', 'error', true);
      create extension if not exists timescaledb;
      perform set_config('client_min_messages', 'warning', true);
    exception when insufficient_privilege then
      raise warning 'The role % may not create the extension timescaledb: positions stays a plain table', current_user
        using hint = 'As a superuser: create extension timescaledb; '
          'then as this role: select positions_use_timescaledb()';
      return false;
    end;
  end if;

  -- Chunks of a day: one of them, with its index, fits into memory while it is written. No default
  -- index: positions_device_ts_idx serves all.
  perform create_hypertable(
    'positions', by_range('ts', interval '1 day'),
    create_default_indexes => false, if_not_exists => true, migrate_data => true
  );

  -- The Apache edition, which some hosts have, has hypertables but no columnstore.
  if current_setting('timescaledb.license', true) = 'timescale' then
    alter table positions set (
      timescaledb.enable_columnstore,
      timescaledb.segmentby = 'device_id',
      timescaledb.orderby = 'ts desc'
    );
    -- Late uploads into compressed chunks are 10 to 100 times slower: a week lets nearly all arrive before.
    call add_columnstore_policy('positions', after => interval '7 days', if_not_exists => true);
  end if;
  return true;
end
$function$;

do $do$
begin
  perform positions_use_timescaledb();
end
$do$;
