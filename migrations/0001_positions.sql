-- Every fix that a tracker sent, once.
create table positions (
  device_id   text not null,
  ts          timestamptz not null,
  ingested_at timestamptz not null default now(),
  latitude    double precision not null,
  longitude   double precision not null,
  altitude    real not null,
  angle       real not null,
  speed       real not null,
  satellites  smallint not null,
  priority    smallint not null,
  codec       text not null,
  attributes  jsonb not null default '{}',
  quality     smallint not null default 0,
  faulty      boolean not null default false
);

comment on column positions.device_id is 'IMEI (what Directus has as devices.imei, not devices.id)';
comment on column positions.ts is 'fix time, by the clock of the tracker';
comment on column positions.ingested_at is 'when the row was stored, by the clock of the database';
comment on column positions.altitude is 'metres';
comment on column positions.angle is 'degrees from north, clockwise, 0 to 360';
comment on column positions.speed is 'km/h';
comment on column positions.priority is '0 low, 1 high, 2 panic';
comment on column positions.codec is '8, 8E or 16';
comment on column positions.attributes is
  'IO id to value; {"__bigint": "…"} and {"__buffer_b64": "…"} stand for what JSON has not';
comment on column positions.quality is 'bits: 1 no_fix, 2 null_island, 4 future, 8 ancient, 16 jump; 0 is good';
comment on column positions.faulty is 'set by an operator, never by a service';

-- The only index: the conflict target of the insert, the newest fix of a device and a track all use it.
-- A second one on the same columns costs a third of the write rate.
create unique index positions_device_ts_idx on positions (device_id, ts desc);
