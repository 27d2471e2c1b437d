-- The processor removes what it has written about an event that was deleted.
create or replace function grant_evaluation_rights() returns void
language plpgsql as $function$
begin
  -- A role that is missing has been reported.
  if exists (select from pg_roles where rolname = 'tracking_processor') then
    execute 'grant select, insert, update, delete on evaluations to tracking_processor';
  end if;
  if exists (select from pg_roles where rolname = 'tracking_gateway') then
    execute 'grant select on evaluations to tracking_gateway';
  end if;
end
$function$;
