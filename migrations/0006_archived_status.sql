-- The gateway leaves out archived entries and devices where Directus has a field `status` for them. The field is
-- optional, so that its right cannot be one of those in 0004.
alter function grant_least_rights() rename to grant_required_rights;

create function grant_least_rights() returns void
language plpgsql as $function$
declare
  table_name text;
begin
  perform grant_required_rights();
  foreach table_name in array array['entries', 'entry_devices', 'devices'] loop
    if not exists (
      select from pg_attribute
       where attrelid = to_regclass(table_name) and attname = 'status' and not attisdropped
    ) then
      continue;
    end if;
    begin
      execute format('grant select (status) on %I to tracking_gateway', table_name);
    exception
      -- A role that is missing has been reported.
      when undefined_object then null;
      when insufficient_privilege then
        raise warning 'The gateway cannot be let read %.status: archived rows are shown', table_name
          using hint = format('As the owner of that table: grant select (status) on %I to tracking_gateway', table_name);
    end;
  end loop;
end
$function$;

revoke execute on function grant_least_rights() from public;
