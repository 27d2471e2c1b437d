-- The prune job deletes from positions_past_limit as well: what was stored longer ago than keep. Fix times do not count
-- there, since nearly all are from trackers whose clock is wrong.
create index on positions_past_limit (ingested_at);

-- Deletes at most max_rows rows, the oldest first, and returns their number.
create function delete_old_positions_past_limit(keep interval, max_rows integer) returns integer
language plpgsql security definer set search_path from current as $function$
declare
  deleted integer;
begin
  if keep <= interval '0' then
    raise exception 'positions must be kept for longer than %', keep;
  end if;
  delete from positions_past_limit
   where ctid = any (array(
     select ctid from positions_past_limit where ingested_at < now() - keep order by ingested_at limit max_rows
   ));
  get diagnostics deleted = row_count;
  return deleted;
end
$function$;

revoke execute on function delete_old_positions_past_limit(interval, integer) from public;

-- Called by every run of the migration job: roles belong to the server, so a restored database may lack this one.
create function grant_prune_rights() returns void
language plpgsql as $function$
begin
  if not exists (select from pg_roles where rolname = 'tracking_pruner') then
    begin
      create role tracking_pruner nologin;
    exception
      -- Another database's migration may be faster.
      when duplicate_object or unique_violation then null;
      when insufficient_privilege then
        raise warning 'The role % may not create the role tracking_pruner', current_user
          using hint = 'As one that may: create role tracking_pruner; then: select grant_prune_rights()';
        return;
    end;
  end if;
  execute format('grant usage on schema %I to tracking_pruner', current_schema());
  grant execute on function
    delete_old_positions(interval, text, integer), drop_old_chunks(interval, integer),
    delete_old_positions_past_limit(interval, integer)
  to tracking_pruner;
end
$function$;
