-- Temporary tables are found before all others unless pg_temp is named: the prune job's login could put its own in place
-- of positions, with a trigger that runs as the owner.
do $do$
declare
  path constant text := (select string_agg(quote_ident(name), ', ') from unnest(current_schemas(false)) as name);
  signature text;
begin
  foreach signature in array array[
    'delete_old_positions(interval, text, integer)', 'drop_old_chunks(interval, integer)',
    'delete_old_positions_past_limit(interval, integer)'
  ] loop
    execute format('alter function %s set search_path = %s, pg_temp', signature, path);
  end loop;
end
$do$;
