-- Results: what the rules make of positions, course, entries and decisions. At rest they are a function of these, whatever
-- order they arrived in. No foreign keys: Directus' tables may belong to another role, and a result outlives its event.
create table passings (
  key            text primary key,
  event_id       uuid not null,
  entry_id       uuid not null,
  stage_id       uuid not null,
  rule           text not null,
  rule_version   integer not null,
  confidence     text not null,
  is_decided     boolean not null,
  lap            integer not null,
  device_id      text,
  before_at      timestamptz,
  after_at       timestamptz,
  computed_at    timestamptz not null default now(),
  gate_id        uuid not null,
  direction      text not null,
  passed_at      timestamptz not null,
  uncertainty_ms double precision not null,
  verdict        text not null
);

create table waypoint_results (
  key            text primary key,
  event_id       uuid not null,
  entry_id       uuid not null,
  stage_id       uuid not null,
  rule           text not null,
  rule_version   integer not null,
  confidence     text not null,
  is_decided     boolean not null,
  lap            integer not null,
  device_id      text,
  before_at      timestamptz,
  after_at       timestamptz,
  computed_at    timestamptz not null default now(),
  waypoint_id    uuid not null,
  verdict        text not null,
  passed_at      timestamptz,
  uncertainty_ms double precision,
  distance_m     double precision,
  penalty_ms     double precision not null
);

create table zone_episodes (
  key          text primary key,
  event_id     uuid not null,
  entry_id     uuid not null,
  stage_id     uuid not null,
  rule         text not null,
  rule_version integer not null,
  confidence   text not null,
  is_decided   boolean not null,
  lap          integer not null,
  device_id    text,
  before_at    timestamptz,
  after_at     timestamptz,
  computed_at  timestamptz not null default now(),
  zone_id      uuid not null,
  from_at      timestamptz not null,
  until_at     timestamptz not null,
  maximum_kmh  double precision not null,
  duration_ms  double precision not null,
  gained_m     double precision not null,
  gained_ms    double precision not null,
  penalty_ms   double precision not null,
  verdict      text not null
);

create table incidents (
  key              text primary key,
  event_id         uuid not null,
  entry_id         uuid not null,
  stage_id         uuid,
  rule             text not null,
  rule_version     integer not null,
  confidence       text not null,
  is_decided       boolean not null,
  lap              integer not null,
  device_id        text,
  before_at        timestamptz,
  after_at         timestamptz,
  computed_at      timestamptz not null default now(),
  from_at          timestamptz not null,
  until_at         timestamptz not null,
  is_open          boolean not null,
  latitude         double precision not null,
  longitude        double precision not null,
  is_position_good boolean not null
);

create table stage_results (
  key              text primary key,
  event_id         uuid not null,
  entry_id         uuid not null,
  stage_id         uuid not null,
  rule             text not null,
  rule_version     integer not null,
  confidence       text not null,
  is_decided       boolean not null,
  computed_at      timestamptz not null default now(),
  status           text not null,
  start_at         timestamptz,
  finish_at        timestamptz,
  elapsed_ms       double precision,
  uncertainty_ms   double precision,
  penalty_ms       double precision not null,
  total_ms         double precision,
  is_to_be_derived boolean not null,
  is_derived       boolean not null,
  gates_passed     integer not null,
  last_gate_at     timestamptz,
  missed_waypoints integer not null,
  progress_m       double precision,
  is_off_track     boolean not null
);

create table classification (
  key             text primary key,
  event_id        uuid not null,
  entry_id        uuid not null,
  stage_id        uuid,
  rule            text not null,
  rule_version    integer not null,
  confidence      text not null,
  is_decided      boolean not null,
  computed_at     timestamptz not null default now(),
  list_order      integer not null,
  place           integer,
  class_place     integer,
  status          text not null,
  stages_finished integer not null,
  total_ms        double precision,
  gap_ms          double precision,
  is_derived      boolean not null
);

-- Everything is read and written by event and entry.
create index on passings (event_id, entry_id);
create index on waypoint_results (event_id, entry_id);
create index on zone_episodes (event_id, entry_id);
create index on incidents (event_id, entry_id);
create index on stage_results (event_id, entry_id);
create index on classification (event_id, entry_id);

comment on table passings is 'each crossing of a gate, and why it counts or not';
comment on column passings.key is 'the same for the same passing after every evaluation: event/entry/rule/gate/lap';
comment on column passings.confidence is 'high, or low: the two fixes are too far apart for an interpolated time';
comment on column passings.is_decided is 'whether a decision of race control touched it';
comment on column passings.lap is 'the how-manieth of its gate, by time';
comment on column passings.device_id is 'IMEI of the tracker; null where a decision alone says so, as before_at and after_at';
comment on column passings.before_at is 'time of the last fix before; a row of positions, with device_id';
comment on column passings.after_at is 'time of the first fix after';
comment on column passings.direction is 'forward or backward';
comment on column passings.uncertainty_ms is '± milliseconds, which hold at least 95 % of the true times';
comment on column passings.verdict is 'counted, repeated, out_of_order, wrong_direction, too_early or suppressed';

comment on table waypoint_results is 'whether each waypoint was passed, and how near';
comment on column waypoint_results.verdict is 'passed or missed';
comment on column waypoint_results.distance_m is 'closest approach, in metres';

comment on table zone_episodes is 'each time that the limit of a speed zone was exceeded';
comment on column zone_episodes.gained_m is 'metres driven farther than at the limit';
comment on column zone_episodes.gained_ms is 'milliseconds that these metres take at the limit';
comment on column zone_episodes.verdict is 'counted or suppressed';

comment on table incidents is 'stops on a special stage, and SOS';
comment on column incidents.rule is 'standing or sos';
comment on column incidents.stage_id is 'null for an SOS';
comment on column incidents.is_open is 'an SOS until a decision resolves it, a stop until the vehicle moves as well';
comment on column incidents.is_position_good is 'false: the coordinates are the last valid ones, or meaningless';

comment on table stage_results is 'one row for each entry and stage';
comment on column stage_results.status is 'not_started, dns, on_stage, finished, dnf, otl or dsq';
comment on column stage_results.elapsed_ms is 'milliseconds from start to finish';
comment on column stage_results.uncertainty_ms is '± of elapsed_ms';
comment on column stage_results.total_ms is 'with penalties';
comment on column stage_results.is_to_be_derived is 'a decision asks for a time derived from other stages';
comment on column stage_results.progress_m is 'metres along the line of the stage, the farthest since the start';

comment on table classification is 'the order of all entries, for each timed stage and overall';
comment on column classification.stage_id is 'null: all stages together';
comment on column classification.list_order is 'place in the list, from 1, without equals';
comment on column classification.place is 'shared by equal results; null for entries that have not started or have retired';
comment on column classification.total_ms is 'milliseconds with penalties, over the stages finished';
comment on column classification.gap_ms is 'milliseconds to the first, if both finished as many stages';

-- What changed, when and why: it answers a protest. Services add to it, and can change nothing in it.
create table result_changes (
  id         bigint generated always as identity primary key,
  changed_at timestamptz not null default clock_timestamp(),
  event_id   uuid not null,
  entry_id   uuid not null,
  table_name text not null,
  key        text not null,
  old_row    jsonb,
  new_row    jsonb,
  reason     text not null
);
create index on result_changes (event_id, entry_id);

comment on column result_changes.key is 'of the row of table_name';
comment on column result_changes.old_row is 'null: the row is new';
comment on column result_changes.new_row is 'null: the row was removed';

-- What race control has to correct in Directus.
create table race_problems (
  event_id   uuid not null,
  collection text not null,
  row_id     uuid not null,
  message    text not null,
  is_refused boolean not null,
  since      timestamptz not null default now()
);
-- Of the hash: an index entry cannot hold every message.
create unique index race_problems_idx on race_problems (event_id, collection, row_id, md5(message));

comment on column race_problems.message is 'a sentence';
comment on column race_problems.is_refused is 'whether the row is left out until it is corrected; otherwise the rest of it is used';

-- What must be evaluated again although Redis could not be told. A processor that meets its own row counts it up, and the
-- evaluator deletes the row only with the count that it read before it evaluated: what came later stays.
create table dirty_entries (
  event_id  uuid not null,
  device_id text not null,
  since     timestamptz not null default now(),
  changes   bigint not null default 1,
  primary key (event_id, device_id)
);

comment on column dirty_entries.device_id is 'IMEI';

-- Fixes whose mark as faulty was set or removed. A device may be in several events: each evaluator remembers which ids it
-- has seen, and rows are deleted when they are a day old.
create table faulty_changes (
  id         bigint generated always as identity primary key,
  changed_at timestamptz not null default clock_timestamp(),
  device_id  text not null,
  fix_at     timestamptz not null
);

-- As its owner: whoever may mark a fix need not have a right on this table.
create function note_faulty_change() returns trigger
language plpgsql security definer as $function$
begin
  insert into faulty_changes (device_id, fix_at) values (new.device_id, new.ts);
  return null;
end
$function$;

-- Temporary tables are found before all others unless pg_temp is named: a table of that name could have a trigger, which
-- would run as the owner.
do $do$
declare
  path constant text := (select string_agg(quote_ident(name), ', ') from unnest(current_schemas(false)) as name);
begin
  execute format('alter function note_faulty_change() set search_path = %s, pg_temp', path);
end
$do$;

-- For each row: hypertables have no transition tables in every version of TimescaleDB.
create trigger note_faulty_change after update of faulty on positions
for each row when (old.faulty is distinct from new.faulty) execute function note_faulty_change();

-- The processor computes results: it reads what race control entered, and writes results. Columns that Directus does not
-- have are left out: without them the processor stores as before.
create function grant_race_rights() returns void
language plpgsql as $function$
declare
  readable constant text[][] := array[
    ['events', 'id,name,start_at,end_at,race_status,thresholds'],
    ['stages', 'id,event_id,name,order_number,kind,line,start_at,start_interval_s,start_by,time_limit_s,status'],
    ['gates', 'id,stage_id,name,order_number,kind,left_latitude,left_longitude,right_latitude,right_longitude,'
      'direction,dead_time_s,crossing'],
    ['waypoints', 'id,stage_id,name,order_number,kind,latitude,longitude,radius_m,is_any_order,missed_penalty_s'],
    ['zones', 'id,stage_id,name,kind,polygon,from_waypoint_id,to_waypoint_id,limit_kmh,tolerance_kmh,grace_m,'
      'minimum_duration_s,penalty_factor'],
    ['entries', 'id,event_id,name,number,class,crew,start_order,start_at,race_status,status'],
    ['entry_devices', 'id,entry_id,device_id,order_number,from_at,until_at,status'],
    ['devices', 'id,imei,status'],
    ['decisions', 'id,entry_id,kind,stage_id,gate_id,waypoint_id,zone_id,at,corrected_at,milliseconds,'
      'decided_status,penalty_s,incident,reason,decided_at,decided_by']
  ];
  results constant text := 'passings, waypoint_results, zone_episodes, incidents, stage_results, classification';
  readable_table text[];
  columns text;
begin
  if exists (select from pg_roles where rolname = 'tracking_gateway') then
    execute format('grant select on %s to tracking_gateway', results);
  end if;
  -- A role that is missing has been reported.
  if not exists (select from pg_roles where rolname = 'tracking_processor') then
    return;
  end if;
  execute format(
    'grant select, insert, update, delete on %s, race_problems, dirty_entries to tracking_processor', results
  );
  execute 'grant insert on result_changes to tracking_processor';
  execute 'grant select, delete on faulty_changes to tracking_processor';

  foreach readable_table slice 1 in array readable loop
    select string_agg(format('%I', attname), ', ') into columns
      from pg_attribute
     where attrelid = to_regclass(readable_table[1]) and not attisdropped
       and attname = any (string_to_array(readable_table[2], ','));
    if columns is null then
      continue;
    end if;
    begin
      execute format('grant select (%s) on %I to tracking_processor', columns, readable_table[1]);
    exception
      when insufficient_privilege then
        raise warning 'The processor cannot be let read %, so no results are computed', readable_table[1]
          using hint = format(
            'As the owner of that table: grant select (%s) on %I to tracking_processor', columns, readable_table[1]
          );
    end;
  end loop;
end
$function$;

alter function grant_least_rights() rename to grant_live_rights;

create function grant_least_rights() returns void
language plpgsql as $function$
begin
  perform grant_live_rights();
  perform grant_race_rights();
end
$function$;

revoke execute on function grant_least_rights(), grant_race_rights(), note_faulty_change() from public;
