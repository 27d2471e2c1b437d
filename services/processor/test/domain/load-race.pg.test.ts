import { randomUUID } from 'node:crypto';
import { migrate } from '@app/migrate/migrate';
import { checkCourse } from '@app/race/check-course';
import { defaultThresholds } from '@app/race/thresholds';
import { connectPostgres, endPostgres } from '@app/runtime/postgres';
import { asRole } from '@app/test-kit/as-role';
import { startPgBouncer } from '@app/test-kit/pgbouncer';
import { startPostgres } from '@app/test-kit/postgres';
import postgres, { type Sql } from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { loadRace } from '../../src/domain/load-race.ts';
import { idOf, insertRace } from '../support/insert-race.ts';
import { observe } from '../support/observed.ts';

const password = 'of-this-test';

/** A race, as an administrator, and the processor's own connection. */
async function openRace(link: 'direct' | 'pooled' = 'direct') {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await startPostgres());
  const admin = stack.adopt(postgres(database.url, { max: 1 }), (sql) => sql.end());
  await migrate(database.url, {
    logins: [{ name: 'processor', memberOf: 'tracking_processor', password }],
  });
  const target = asRole(database.url, 'processor', password);
  const url =
    link === 'pooled' ? stack.use(await startPgBouncer({ target, poolMode: 'transaction' })).url : target;
  const sql: Sql = stack.adopt(
    connectPostgres(url, {
      name: 'test',
      log: observe().log,
      maxConnections: 2,
      statementTimeoutMs: 10_000,
      link,
    }),
    (pool) => endPostgres(pool),
  );
  const { eventId } = await insertRace(admin);
  const owned = stack.move();
  onTestFinished(() => owned.disposeAsync());
  return { admin, sql, eventId };
}

test.each(['direct', 'pooled'] as const)(
  'a race is read whole with the rights of the processor, %s',
  async (link) => {
    const { sql, eventId } = await openRace(link);
    const loaded = await loadRace(sql, eventId);
    expect(loaded?.problems).toEqual([]);
    expect(loaded?.race).toEqual({
      event: {
        id: eventId,
        name: 'Rally',
        startAtMs: Date.UTC(2026, 6, 4, 8),
        endAtMs: Date.UTC(2026, 6, 5, 18),
        thresholds: { ...defaultThresholds, standingAfterS: 120 },
      },
      stages: [
        {
          id: idOf('stage', 1),
          name: 'SS 1',
          order: 1,
          kind: 'special',
          line: [
            [25, 62],
            [25.1, 62],
          ],
          startAtMs: Date.UTC(2026, 6, 4, 9, 0, 0, 250),
          startIntervalS: 30,
          startBy: 'gate',
          timeLimitS: 3600,
        },
        {
          id: idOf('stage', 2),
          name: 'SS 2',
          order: 2,
          kind: 'special',
          line: undefined,
          startAtMs: undefined,
          startIntervalS: 60,
          startBy: 'schedule',
          timeLimitS: undefined,
        },
      ],
      gates: [
        {
          id: idOf('gate', 1),
          stageId: idOf('stage', 1),
          name: 'Start',
          order: 1,
          kind: 'start',
          left: { latitude: 62.00012345, longitude: 25.001 },
          right: { latitude: 61.99987655, longitude: 25.001 },
          direction: 'both',
          deadTimeS: 5,
          crossing: 'last',
        },
        {
          id: idOf('gate', 2),
          stageId: idOf('stage', 1),
          name: 'Split',
          order: 2,
          kind: 'split',
          left: { latitude: 62.0001, longitude: 25.05 },
          right: { latitude: 61.9999, longitude: 25.05 },
          direction: 'forward',
          deadTimeS: 10,
          crossing: 'first',
        },
        expect.objectContaining({ id: idOf('gate', 3), kind: 'finish' }),
      ],
      waypoints: [
        {
          id: idOf('waypoint', 1),
          stageId: idOf('stage', 1),
          name: 'WP 1',
          order: 1,
          position: { latitude: 62, longitude: 25.02 },
          radiusM: 20.1,
          kind: 'visible',
          isAnyOrder: true,
          missedPenaltyS: 60,
        },
        expect.objectContaining({ kind: 'hidden', isAnyOrder: false, missedPenaltyS: 0 }),
      ],
      zones: [
        {
          id: idOf('zone', 1),
          stageId: idOf('stage', 1),
          name: 'Village',
          kind: 'speed',
          area: {
            polygon: [
              [25.04, 61.99],
              [25.06, 61.99],
              [25.06, 62.01],
              [25.04, 61.99],
            ],
          },
          limitKmh: 50,
          toleranceKmh: 2.5,
          graceM: 30,
          minimumDurationS: 1.5,
          penaltyFactor: 5,
        },
        expect.objectContaining({
          kind: 'protected',
          area: { fromWaypointId: idOf('waypoint', 1), toWaypointId: idOf('waypoint', 2) },
          limitKmh: 0,
          penaltyFactor: 10,
        }),
      ],
      entries: [
        {
          id: idOf('entry', 1),
          number: '1',
          crew: 'A / B',
          class: 'RC2',
          startOrder: 1,
          startAtMs: Date.UTC(2026, 6, 4, 9, 5),
          status: 'dnf',
        },
        {
          id: idOf('entry', 2),
          number: 'No. 2',
          crew: '',
          class: '',
          startOrder: undefined,
          startAtMs: undefined,
          status: 'entered',
        },
      ],
      assignments: [
        {
          id: idOf('assignment', 1),
          entryId: idOf('entry', 1),
          deviceId: '356307042441013',
          order: 2,
          fromMs: Date.UTC(2026, 6, 4, 7),
          untilMs: Date.UTC(2026, 6, 4, 20),
        },
        {
          id: idOf('assignment', 2),
          entryId: idOf('entry', 2),
          deviceId: '356307042441021',
          order: 1,
          fromMs: undefined,
          untilMs: undefined,
        },
      ],
      decisions: [
        {
          id: idOf('decision', 1),
          entryId: idOf('entry', 1),
          kind: 'passing_corrected',
          targetId: idOf('gate', 2),
          atMs: Date.UTC(2026, 6, 4, 9, 10),
          correctedAtMs: Date.UTC(2026, 6, 4, 9, 10, 2, 345),
          reason: 'Photocell',
          decidedAtMs: Date.UTC(2026, 6, 4, 10),
          decidedBy: idOf('user', 1),
        },
        {
          id: idOf('decision', 2),
          entryId: idOf('entry', 2),
          kind: 'penalty',
          stageId: idOf('stage', 1),
          penaltyS: 10.5,
          reason: '',
          decidedAtMs: Date.UTC(2026, 6, 4, 10, 1),
          decidedBy: 'an unknown user',
        },
      ],
    });
    if (!loaded) throw new Error('no race');
    expect(checkCourse(loaded.race).problems.filter(({ isRefused }) => isRefused)).toEqual([]);
    expect(await loadRace(sql, randomUUID())).toBeUndefined();
  },
);

test('each value that cannot be used is a problem in words, and leaves out its row and no other', async () => {
  const { admin, sql, eventId } = await openRace();
  const before = await loadRace(sql, eventId);
  if (!before) throw new Error('no race');
  // What is left out is inserted again by the next case: the last column is the row's table.
  const cases: readonly (readonly [statement: string, sentence: string, isRefused?: boolean])[] = [
    ["update gates set left_latitude = null where name = 'Split'", 'The gate Split has no left latitude.'],
    [
      "update gates set kind = 'mid' where name = 'Split'",
      'The gate Split has the kind mid; it must be start, split or finish.',
    ],
    [
      "update gates set left_longitude = 'NaN' where name = 'Split'",
      'The gate Split has the left longitude NaN; it must be a number.',
    ],
    [
      "update gates set order_number = null, name = null where name = 'Split'",
      'A gate without a name has no order number.',
    ],
    ["update waypoints set radius_m = null where name = 'WP 1'", 'The waypoint WP 1 has no radius.'],
    [
      "update waypoints set radius_m = 'infinity' where name = 'WP 1'",
      'The waypoint WP 1 has the radius Infinity; it must be a number.',
    ],
    [
      "update zones set polygon = null where name = 'Village'",
      'The zone Village has neither a polygon nor two waypoints.',
    ],
    [
      `update zones set polygon = '"POLYGON((1 2))"' where name = 'Village'`,
      'The polygon of the zone Village is no GeoJSON; it must be a GeoJSON Polygon.',
    ],
    [
      `update zones set polygon = '{"type": "Point", "coordinates": [1, 2]}' where name = 'Village'`,
      'The polygon of the zone Village is a GeoJSON Point; it must be a GeoJSON Polygon.',
    ],
    [
      `update zones set polygon = '{"type": "Polygon", "coordinates": [[[1, 2], ["1", 2]]]}' where name = 'Village'`,
      'Point 2 of the polygon of the zone Village is not a longitude and a latitude.',
    ],
    [
      `update zones set polygon = '{"type": "Polygon", "coordinates": [[], []]}' where name = 'Village'`,
      'The polygon of the zone Village has a hole; draw polygons without holes.',
    ],
    [
      `update zones set polygon = '{"type": "FeatureCollection", "features": []}' where name = 'Village'`,
      'The polygon of the zone Village has 0 features; it must have one.',
    ],
    [
      "update zones set from_waypoint_id = (select id from waypoints limit 1) where name = 'Village'",
      'The zone Village has a polygon and waypoints; it must have one or the other.',
    ],
    [
      "delete from waypoints where name = 'WP 2'",
      'The zone Service has neither a polygon nor two waypoints.',
    ],
    ["update stages set order_number = null where name = 'SS 2'", 'The stage SS 2 has no order number.'],
    [
      `update stages set line = '[[25, 62], [25, 63]]' where name = 'SS 1'`,
      'The line of the stage SS 1 is no GeoJSON; it must be a GeoJSON LineString.',
      false,
    ],
    [
      "update entries set race_status = 'gone' where name = 'One'",
      'The entry One has the race status gone; it must be entered, dns, dnf or dsq.',
    ],
    [
      "update entries set start_at = 'infinity' where name = 'One'",
      'The entry One has the start Infinity; it must be a date and a time.',
    ],
    ["update devices set imei = '' where imei = '356307042441013'", 'A device of an entry has no imei.'],
    [
      "update decisions set at = null where kind = 'passing_corrected'",
      'A decision of the kind passing_corrected has no time.',
    ],
    [
      "update decisions set milliseconds = 1000 where kind = 'passing_corrected'",
      'A decision of the kind passing_corrected has 1000 milliseconds; they must be from 0 to 999.',
    ],
    [
      "delete from gates where name = 'Split'",
      'A decision of the kind passing_corrected has neither a gate nor a waypoint.',
    ],
    [
      'update decisions set waypoint_id = (select id from waypoints limit 1), gate_id = (select id from gates limit 1)',
      'A decision of the kind passing_corrected has a gate and a waypoint; it must have one of them.',
    ],
    [
      "update decisions set kind = 'pardon' where kind = 'penalty'",
      'A decision has the kind pardon; it must be passing_added, passing_suppressed, passing_corrected, episode_suppressed, status, penalty, incident_resolved or derived_time.',
    ],
    [
      `update events set thresholds = '[]'`,
      'The thresholds of the event Rally are no JSON object; the defaults are used.',
      false,
    ],
    [
      `update events set thresholds = '{"standing": 1, "other": 2}'`,
      `The thresholds of the event Rally have the unknown name standing; the known ones are ${Object.keys(defaultThresholds).join(', ')}.`,
      false,
    ],
    [
      `update events set thresholds = '{"sosGapS": "1"}'`,
      'The threshold sosGapS of the event Rally is no number of at least 0; the default 60 is used.',
      false,
    ],
  ];
  for (const [statement, sentence, isRefused = true] of cases) {
    await admin.unsafe('begin');
    await admin.unsafe(statement);
    // The transaction's own connection sees the change.
    const loaded = await loadRace(admin, eventId);
    await admin.unsafe('rollback');
    const messages = loaded?.problems.map((problem) => `${problem.isRefused} ${problem.message}`);
    expect(messages).toContain(`${isRefused} ${sentence}`);
    expect(loaded?.problems.every(({ id }) => /^[\da-f-]{36}$/u.test(id))).toBe(true);
  }
  expect(await loadRace(sql, eventId)).toEqual(before);
});

test('the rows of archived stages, entries and trackers are left out', async () => {
  const { admin, sql, eventId } = await openRace();
  await admin`update stages set status = 'draft' where name = 'SS 2'`;
  await admin`update stages set status = 'archived' where name = 'SS 1'`;
  await admin`update entries set status = 'archived' where name = 'One'`;
  await admin`update devices set status = 'archived' where imei = '356307042441021'`;
  const loaded = await loadRace(sql, eventId);
  expect(loaded?.problems).toEqual([]);
  expect(loaded?.race).toMatchObject({
    stages: [{ name: 'SS 2' }],
    gates: [],
    waypoints: [],
    zones: [],
    entries: [{ number: 'No. 2' }],
    assignments: [],
    decisions: [{ kind: 'penalty' }],
  });
  // The column is optional.
  for (const table of ['stages', 'entries', 'devices'])
    await admin.unsafe(`alter table ${table} drop column status`);
  expect((await loadRace(sql, eventId))?.race.stages).toHaveLength(2);
});
