import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { storedStream } from '../../src/domain/stored-fixes.ts';
import type { WrittenFixes } from '../../src/store/write-fixes.ts';
import type { TestEvaluation } from './evaluation.ts';
import { resultsFromScratch, resultsStored } from './results-from-scratch.ts';
import { drive, fixAt, insertSmallRace, pointAt, type SmallRace, startAtMs } from './small-race.ts';

type Action =
  | {
      readonly kind: 'send' | 'send_newest_first' | 'crash_before_announcing';
      readonly device: number;
      readonly from: number;
      readonly count: number;
    }
  | { readonly kind: 'sos_of_wrong_clock' | 'mark_faulty'; readonly device: number; readonly at: number }
  | { readonly kind: 'mark_range'; readonly device: number; readonly at: number; readonly seconds: number }
  | { readonly kind: 'move_gate'; readonly gate: number; readonly east: number }
  | { readonly kind: 'assign'; readonly entry: number; readonly device: number }
  | {
      readonly kind: 'decide';
      readonly entry: number;
      readonly what: 'status' | 'penalty' | 'passing_suppressed';
    }
  | {
      readonly kind:
        | 'undo'
        | 'unmark_ranges'
        | 'evaluate'
        | 'restart_evaluator'
        | 'trim'
        | 'refuse'
        | 'accept'
        | 'refresh_devices';
    };

const device = fc.nat(3);
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('send', 'send', 'send_newest_first', 'crash_before_announcing'),
      device,
      from: fc.nat(200),
      count: fc.integer({ min: 1, max: 220 }),
    }),
  },
  fc.record({ kind: fc.constantFrom('sos_of_wrong_clock', 'mark_faulty'), device, at: fc.nat(210) }),
  fc.record({
    kind: fc.constant('mark_range'),
    device,
    at: fc.nat(210),
    seconds: fc.integer({ min: 1, max: 100 }),
  }),
  fc.record({ kind: fc.constant('move_gate'), gate: fc.nat(2), east: fc.integer({ min: -40, max: 40 }) }),
  fc.record({ kind: fc.constant('assign'), entry: fc.nat(2), device }),
  fc.record({
    kind: fc.constant('decide'),
    entry: fc.nat(2),
    what: fc.constantFrom('status', 'penalty', 'passing_suppressed'),
  }),
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'undo',
        'unmark_ranges',
        'evaluate',
        'evaluate',
        'evaluate',
        'restart_evaluator',
        'trim',
        'refuse',
        'accept',
        'refresh_devices',
      ),
    }),
  },
);

/** Whatever happens to fixes, inputs, Redis and the evaluator: in the end the tables hold what the rules make of the data. */
export function resultsProperty(at: TestEvaluation) {
  return fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 25 }), async (actions) => {
    const race = await insertSmallRace(at.sql, { hours: 100_000 });
    try {
      await runActions(at, race, actions);
      const [stored, expected] = [
        await resultsStored(at.sql, race.eventId),
        await resultsFromScratch(at.sql, race.eventId),
      ];
      if (JSON.stringify(inOrder(stored)) !== JSON.stringify(inOrder(expected))) {
        throw new Error(
          `the tables are not what the rules make of the data:\n${differences(stored, expected)}`,
        );
      }
      const dirty = await at.sql`select device_id from dirty_entries where event_id = ${race.eventId}`;
      if (dirty.length > 0) throw new Error(`${dirty.length} devices are still marked as dirty`);
    } finally {
      await at.sql`delete from events where id = ${race.eventId}`;
      await at.redis.del(storedStream(race.eventId));
    }
  });
}

async function runActions(at: TestEvaluation, race: SmallRace, actions: readonly Action[]): Promise<void> {
  const { sql, redis } = at;
  const key = storedStream(race.eventId);
  const unannounced: WrittenFixes[] = [];
  await at.devices.refresh();
  let evaluator = await at.open(race.eventId);
  let isRefusing = false;
  const never = new AbortController().signal;

  for (const one of actions) {
    switch (one.kind) {
      case 'send':
      case 'send_newest_first':
      case 'crash_before_announcing': {
        const records = drive(race.imeis[one.device] ?? '', { speedKmh: 20, north: one.device }).slice(
          one.from,
          one.from + one.count,
        );
        const sent = one.kind === 'send_newest_first' ? records.toReversed() : records;
        if (sent.length === 0) break;
        const written = await at.write(sent);
        // Delivered again later: then all of it is stored already.
        if (one.kind === 'crash_before_announcing') {
          unannounced.push({ ...written, repeated: new Set(written.durable) });
        } else await at.announce(written);
        break;
      }
      case 'sos_of_wrong_clock':
        await at.store([fixAt(race.imeis[one.device] ?? '', one.at - 1e6, 0, 0, { priority: 2 })]);
        break;
      case 'mark_faulty':
        await sql`
          update positions set faulty = not faulty
           where device_id = ${race.imeis[one.device] ?? ''} and ts = ${new Date(startAtMs + (60 + one.at) * 1000)}`;
        break;
      case 'mark_range': {
        const fromMs = startAtMs + (60 + one.at) * 1000;
        await sql`
          insert into faulty_marks (device_id, from_at, until_at, reason)
          values (${race.deviceIds[one.device] ?? ''}, ${new Date(fromMs)}, ${new Date(fromMs + one.seconds * 1000)}, 'a test')`;
        break;
      }
      case 'unmark_ranges':
        await sql`delete from faulty_marks where device_id in ${sql(race.deviceIds)}`;
        break;
      case 'move_gate': {
        const [left, right] = [
          pointAt(one.gate * 500 + one.east, 30),
          pointAt(one.gate * 500 + one.east, -30),
        ];
        await sql`
          update gates set left_latitude = ${left.latitude}, left_longitude = ${left.longitude},
                 right_latitude = ${right.latitude}, right_longitude = ${right.longitude}
           where id = ${race.gateIds[one.gate] ?? ''}`;
        break;
      }
      case 'assign':
        await sql`
          update entry_devices set device_id = ${race.deviceIds[one.device] ?? ''}
           where id = ${race.assignmentIds[one.entry] ?? ''}`;
        break;
      case 'decide':
        await decide(at, race, race.entryIds[one.entry] ?? '', one.what);
        break;
      case 'undo':
        await sql`delete from decisions where entry_id in ${sql(race.entryIds)}`;
        break;
      case 'evaluate':
        // While Redis refuses to be read it fails, and is tried again.
        await evaluator.evaluate(never, true).catch(rethrowUnless(isRefusing));
        break;
      case 'restart_evaluator':
        evaluator = await at.open(race.eventId);
        break;
      case 'trim':
        await redis.xtrim(key, 'MAXLEN', 0).catch(rethrowUnless(isRefusing));
        break;
      case 'refuse':
        // A key of another type refuses what a stream would accept.
        await redis.set(key, 'no stream');
        isRefusing = true;
        break;
      case 'accept':
        if (isRefusing) await redis.del(key);
        isRefusing = false;
        break;
      case 'refresh_devices':
        await at.devices.refresh();
        break;
    }
  }
  if (isRefusing) await redis.del(key);
  for (const written of unannounced) await at.announce(written);
  await at.devices.refresh();
  await at.settle(evaluator);
}

async function decide(
  { sql }: TestEvaluation,
  { stageId, gateIds }: SmallRace,
  entryId: string,
  what: 'status' | 'penalty' | 'passing_suppressed',
): Promise<void> {
  const decision = { id: randomUUID(), entry_id: entryId, kind: what, reason: 'a test' };
  if (what === 'status') await sql`insert into decisions ${sql({ ...decision, decided_status: 'dsq' })}`;
  if (what === 'penalty')
    await sql`insert into decisions ${sql({ ...decision, stage_id: stageId, penalty_s: 10 })}`;
  if (what === 'passing_suppressed') {
    const suppressed = { ...decision, gate_id: gateIds[1] ?? '', at: new Date(startAtMs + 168_000) };
    await sql`insert into decisions ${sql(suppressed)}`;
  }
}

function rethrowUnless(isExpected: boolean): (error: unknown) => void {
  return (error) => {
    if (!isExpected) throw error;
  };
}

type Rows = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

function inOrder(tables: Rows): unknown {
  return Object.entries(tables).map(([name, rows]) => [
    name,
    rows.map((row) => Object.entries(row).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  ]);
}

function differences(stored: Rows, expected: Rows): string {
  const lines = Object.keys(expected).flatMap((name) => {
    const [is, shouldBe] = [linesOf(name, stored), linesOf(name, expected)];
    const wrong = [...is.difference(shouldBe)].map((line) => `is        ${line}`);
    return wrong.concat([...shouldBe.difference(is)].map((line) => `should be ${line}`));
  });
  return lines.slice(0, 10).join('\n');
}

function linesOf(name: string, rows: Rows): Set<string> {
  return new Set((rows[name] ?? []).map((row) => JSON.stringify(inOrder({ [name]: [row] }))));
}
