-- What race control marks as faulty: all fixes of a tracker in a range of time, also those that arrive later, so that results
-- do not depend on the order of arrival. Edited in Directus.
create table faulty_marks (
  id        uuid primary key default gen_random_uuid(),
  device_id uuid not null,
  from_at   timestamptz not null,
  until_at  timestamptz not null,
  reason    text not null,
  marked_by uuid,
  marked_at timestamptz not null default now(),
  imei      text,
  fixes     integer not null default 0,
  problem   text
);
create index on faulty_marks (imei, from_at);

comment on table faulty_marks is 'ranges of time in which all fixes of a tracker are faulty; results leave them out, except SOS';
comment on column faulty_marks.device_id is 'the tracker, by its id in devices';
comment on column faulty_marks.from_at is 'fix time, included';
comment on column faulty_marks.until_at is 'fix time, included; in the past, and at most a day after the start';
comment on column faulty_marks.reason is 'the answer to a protest';
comment on column faulty_marks.marked_by is 'who saved the mark last';
comment on column faulty_marks.imei is 'of the tracker when the mark was saved';
comment on column faulty_marks.fixes is 'stored fixes in the range when the mark was saved';
comment on column faulty_marks.problem is 'why the mark has no effect; null if it has';

-- With the rights of who saves the mark: Directus' role reads devices, the owner of positions may not.
create function check_faulty_mark() returns trigger
language plpgsql as $function$
begin
  new.imei := (select imei from devices where id = new.device_id);
  new.fixes := 0;
  new.problem := case
    when new.imei is null then 'The tracker is not in devices, or has no IMEI: choose another, or enter its IMEI and save this again'
    when new.until_at < new.from_at then 'The range ends before it starts: correct from_at or until_at'
    when new.until_at > new.from_at + interval '1 day' then 'The range is longer than a day: enter one mark for each day'
    when new.until_at > now()
      then 'The range ends in the future: end it now; for a tracker that stays faulty, end its assignment in entry_devices'
  end;
  return new;
end
$function$;

-- As the owner of positions: whoever saves marks need not have a right on positions.
create function apply_faulty_mark() returns trigger
language plpgsql security definer set lock_timeout = '5s' as $function$
begin
  -- A fix that is being stored does not know this mark, and this mark does not see the fix. ONLY: inserts lock the
  -- hypertable as well, and it has hundreds of chunks.
  lock table only positions in share row exclusive mode;
  -- A tracker that sends more than once a second has more than the default limit in a day. Without TimescaleDB no effect.
  perform set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true);
  if tg_op <> 'INSERT' and old.problem is null then
    update positions set faulty = false
     where device_id = old.imei and ts between old.from_at and old.until_at and faulty
       and not exists (
         select from faulty_marks as other
          where other.imei = old.imei and positions.ts between other.from_at and other.until_at
            and other.problem is null and other.id <> old.id
       )
       and (
         tg_op = 'DELETE' or new.problem is not null or new.imei <> old.imei
         or ts not between new.from_at and new.until_at
       );
  end if;
  if tg_op = 'DELETE' then
    return old;
  end if;
  if new.problem is null then
    update positions set faulty = true
     where device_id = new.imei and ts between new.from_at and new.until_at and not faulty;
    new.fixes := (
      select count(*) from positions where device_id = new.imei and ts between new.from_at and new.until_at
    );
  end if;
  return new;
end
$function$;

do $do$
declare
  path constant text := (select string_agg(quote_ident(name), ', ') from unnest(current_schemas(false)) as name);
begin
  execute format('alter function check_faulty_mark() set search_path = %s, pg_temp', path);
  execute format('alter function apply_faulty_mark() set search_path = %s, pg_temp', path);
end
$do$;

-- Triggers of a table run in the order of their names.
create trigger faulty_marks_1_check before insert or update on faulty_marks
for each row execute function check_faulty_mark();
create trigger faulty_marks_2_apply before insert or update or delete on faulty_marks
for each row execute function apply_faulty_mark();

-- The processor stores a fix of a marked range as faulty. It is announced like any other, so the evaluator is told.
create trigger note_faulty_insert after insert on positions
for each row when (new.faulty) execute function note_faulty_change();

-- Directus needs a primary key of one column.
alter table race_problems add column id bigint generated always as identity primary key;

-- Directus shows these comments, so that each table has them.
do $do$
declare
  described record;
begin
  for described in
    select target.attrelid::regclass as name, target.attname as attribute, col_description(source.attrelid, source.attnum) as text
      from pg_attribute as source
      join pg_attribute as target on target.attname = source.attname
       and target.attrelid in (
         'waypoint_results'::regclass, 'zone_episodes'::regclass, 'incidents'::regclass, 'stage_results'::regclass,
         'classification'::regclass, 'vehicle_states'::regclass
       )
     where source.attrelid = 'passings'::regclass and col_description(source.attrelid, source.attnum) is not null
       and col_description(target.attrelid, target.attnum) is null
  loop
    execute format('comment on column %s.%I is %L', described.name, described.attribute, described.text);
  end loop;
end
$do$;
comment on table result_changes is 'what changed in results, when and why: the answer to a protest';
comment on table race_problems is 'what race control has to correct, as sentences';

-- What Directus may do with tables of the migrations, as a role that Directus' own login is made a member of:
--   grant tracking_directus to directus;
create function grant_directus_rights() returns void
language plpgsql as $function$
begin
  if not exists (select from pg_roles where rolname = 'tracking_directus') then
    begin
      create role tracking_directus nologin;
    exception
      -- Roles belong to the whole server: another database's migration may be faster.
      when duplicate_object or unique_violation then null;
      when insufficient_privilege then
        raise warning 'The role % may not create the role tracking_directus', current_user
          using hint = 'As one that may: create role tracking_directus; then: select grant_least_rights()';
        return;
    end;
  end if;
  -- By EXECUTE, as in grant_live_rights().
  execute format('grant usage on schema %I to tracking_directus', current_schema());
  execute 'grant select on passings, waypoint_results, zone_episodes, incidents, stage_results, classification, '
    'vehicle_states, result_changes, race_problems to tracking_directus';
  execute 'grant select, delete, insert (id, device_id, from_at, until_at, reason, marked_by, marked_at), '
    'update (device_id, from_at, until_at, reason, marked_by, marked_at) on faulty_marks to tracking_directus';
  if exists (select from pg_roles where rolname = 'tracking_processor') then
    execute 'grant select (imei, from_at, until_at, problem) on faulty_marks to tracking_processor';
  end if;
end
$function$;

create or replace function grant_least_rights() returns void
language plpgsql as $function$
begin
  perform grant_live_rights();
  perform grant_race_rights();
  perform grant_evaluation_rights();
  perform grant_vehicle_state_rights();
  perform grant_directus_rights();
end
$function$;

revoke execute on function grant_directus_rights(), check_faulty_mark(), apply_faulty_mark() from public;
