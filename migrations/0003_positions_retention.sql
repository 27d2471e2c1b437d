-- How long positions are kept: for ever, until an operator says otherwise.
--   select set_positions_retention('180 days');   select set_positions_retention(null);
create function set_positions_retention(keep interval) returns void
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
      using hint = 'Delete by a scheduled job: delete from positions where ts < now() - interval ''180 days''';
  end if;
  perform remove_retention_policy('positions', if_exists => true);
  if keep is not null then
    perform add_retention_policy('positions', drop_after => keep);
  end if;
end
$function$;
