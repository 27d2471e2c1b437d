import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fix } from '../support/fixes.ts';
import { observe } from '../support/observed.ts';
import type { Fix } from '../../src/pipeline/decode-entries.ts';
import { DeviceStates, type FindLastFixes, type LastFix } from '../../src/state/device-states.ts';

const noon = Date.UTC(2026, 5, 1, 12);
const never = new AbortController().signal;
const nothingStored: FindLastFixes = async () => new Map();

function lastFix(fixAtMs: number): LastFix {
  return { fixAtMs, latitude: 46.5, longitude: 7.25, altitudeM: 800, courseDeg: 90, speedKmh: 42.5 };
}

/** Folds and keeps one batch, and gives the fix times of each state, before and after. */
async function hear(states: DeviceStates, fixes: readonly Fix[]): Promise<(number | undefined)[][]> {
  const proposed = await states.next(fixes, never);
  states.commit(proposed);
  return proposed.transitions.map(({ before, after }) => [before.lastFix?.fixAtMs, after.lastFix?.fixAtMs]);
}

test('a newer fix moves the state of its device, and of no other', async () => {
  const states = new DeviceStates(10, nothingStored, observe().metrics);
  const heard = await hear(states, [
    fix({ deviceId: 'a', fixAtMs: noon }),
    fix({ deviceId: 'b', fixAtMs: noon - 5 }),
    fix({ deviceId: 'a', fixAtMs: noon + 1 }),
  ]);
  expect(heard).toEqual([
    [undefined, noon],
    [undefined, noon - 5],
    [noon, noon + 1],
  ]);
});

test('a late fix, and the same one again, move nothing', async () => {
  const states = new DeviceStates(10, nothingStored, observe().metrics);
  await hear(states, [fix({ fixAtMs: noon, latitude: 1 })]);
  const { transitions: heard } = await states.next(
    [fix({ fixAtMs: noon - 1, latitude: 2 }), fix({ fixAtMs: noon, latitude: 3 })],
    never,
  );
  for (const { after } of heard) expect(after.lastFix).toMatchObject({ fixAtMs: noon, latitude: 1 });
});

test('a flagged fix is seen, is heard, and moves nothing', async () => {
  const states = new DeviceStates(10, nothingStored, observe().metrics);
  await hear(states, [fix({ fixAtMs: noon })]);
  const { transitions: heard } = await states.next([fix({ fixAtMs: noon + 5000, satellites: 0 })], never);
  expect(heard).toHaveLength(1);
  expect(heard[0]?.after).toMatchObject({ lastFix: { fixAtMs: noon }, lastSeenAtMs: noon + 6000 });
});

test('last seen goes by arrival and never backwards', async () => {
  const states = new DeviceStates(10, nothingStored, observe().metrics);
  const { transitions: heard } = await states.next(
    [fix({ fixAtMs: noon }), fix({ fixAtMs: noon - 9000 })],
    never,
  );
  expect(heard.map(({ after }) => after.lastSeenAtMs)).toEqual([noon + 1000, noon + 1000]);
});

test('nothing is kept before the commit: the same batch again is heard as new', async () => {
  const { metrics, metric } = observe();
  const states = new DeviceStates(10, nothingStored, metrics);
  const batch = [fix({ fixAtMs: noon })];
  const first = await states.next(batch, never);
  const second = await states.next(batch, never);
  expect(second).toEqual(first);
  expect(await metric('processor_device_state_size')).toBe(0);
  states.commit(second);
  expect(await metric('processor_device_state_size')).toBe(1);
  expect((await states.next(batch, never)).transitions[0]?.before.lastFix?.fixAtMs).toBe(noon);
});

test('devices not seen before are looked up once a batch, older than the oldest good fix it has of them', async () => {
  const asked: ReadonlyMap<string, number>[] = [];
  const stored: FindLastFixes = async (olderThanMs) => {
    asked.push(olderThanMs);
    return new Map([['a', lastFix(noon - 60_000)]]);
  };
  const states = new DeviceStates(10, stored, observe().metrics);
  const heard = await hear(states, [
    fix({ deviceId: 'a', fixAtMs: noon }),
    fix({ deviceId: 'b', fixAtMs: noon }),
    fix({ deviceId: 'a', fixAtMs: noon - 1000 }),
    // A clock that was never set says nothing about what was heard.
    fix({ deviceId: 'a', fixAtMs: Date.UTC(2001, 0, 1) }),
  ]);
  expect(asked).toEqual([
    new Map([
      ['a', noon - 1000],
      ['b', noon],
    ]),
  ]);
  expect(heard[0]).toEqual([noon - 60_000, noon]);
  await hear(states, [fix({ deviceId: 'a', fixAtMs: noon + 1 }), fix({ deviceId: 'b', fixAtMs: noon + 1 })]);
  expect(asked).toHaveLength(1);
});

test('a device that has only flagged fixes is not looked up before its first good one', async () => {
  const asked: ReadonlyMap<string, number>[] = [];
  const stored: FindLastFixes = async (olderThanMs) => {
    asked.push(olderThanMs);
    const isBefore = (olderThanMs.get('a') ?? 0) > noon - 60_000;
    return new Map(isBefore ? [['a', lastFix(noon - 60_000)]] : []);
  };
  const states = new DeviceStates(10, stored, observe().metrics);
  // Looked up, it would find the good fix behind it, which a process stored that died before it was heard.
  const blind = fix({ deviceId: 'a', fixAtMs: noon - 30_000, satellites: 0 });
  expect(await hear(states, [blind])).toEqual([[undefined, undefined]]);
  expect(await hear(states, [blind])).toEqual([[undefined, undefined]]);
  expect(asked).toEqual([]);
  const good = fix({ deviceId: 'a', fixAtMs: noon - 60_000 });
  expect(await hear(states, [good])).toEqual([[undefined, noon - 60_000]]);
  expect(await hear(states, [fix({ deviceId: 'a', fixAtMs: noon })])).toEqual([[noon - 60_000, noon]]);
  expect(asked).toHaveLength(1);
});

test('what was stored before the first good fix of this process is found', async () => {
  const stored: FindLastFixes = async () => new Map([['a', lastFix(noon - 60_000)]]);
  const states = new DeviceStates(10, stored, observe().metrics);
  await hear(states, [fix({ deviceId: 'a', fixAtMs: noon - 1000, satellites: 0 })]);
  const { transitions: heard } = await states.next([fix({ deviceId: 'a', fixAtMs: noon })], never);
  expect(heard[0]?.before).toMatchObject({ lastFix: { fixAtMs: noon - 60_000 }, lastSeenAtMs: noon });
});

test('no look-up where every device is known, and none for a batch of nothing', async () => {
  let lookUps = 0;
  const count: FindLastFixes = async () => {
    lookUps += 1;
    return new Map();
  };
  const states = new DeviceStates(10, count, observe().metrics);
  await hear(states, []);
  await hear(states, [fix({ fixAtMs: noon })]);
  await hear(states, [fix({ fixAtMs: noon + 1 })]);
  expect(lookUps).toBe(1);
});

test('the least recently heard devices make room, each counted, and are looked up when they come back', async () => {
  const { metrics, metric } = observe();
  const asked: string[][] = [];
  const stored: FindLastFixes = async (olderThanMs) => {
    asked.push([...olderThanMs.keys()]);
    return new Map();
  };
  const states = new DeviceStates(2, stored, metrics);
  await hear(states, [fix({ deviceId: 'a' }), fix({ deviceId: 'b' })]);
  await hear(states, [fix({ deviceId: 'a', fixAtMs: noon })]);
  await hear(states, [fix({ deviceId: 'c' })]);
  expect(await metric('processor_device_state_evictions_total')).toBe(1);
  expect(await metric('processor_device_state_size')).toBe(2);
  await hear(states, [fix({ deviceId: 'a', fixAtMs: noon + 1 }), fix({ deviceId: 'b' })]);
  expect(asked).toEqual([['a', 'b'], ['c'], ['b']]);
});

test('the states of several streams are counted together', async () => {
  const { metrics, metric } = observe();
  await hear(new DeviceStates(2, nothingStored, metrics), [fix({ deviceId: 'a' }), fix({ deviceId: 'b' })]);
  const other = new DeviceStates(2, nothingStored, metrics);
  await hear(other, [fix({ deviceId: 'c' })]);
  await hear(other, [fix({ deviceId: 'd' }), fix({ deviceId: 'e' })]);
  expect(await metric('processor_device_state_size')).toBe(4);
});

test('however fixes come, a state never moves backwards and ends at the newest good fix', async () => {
  const fixes = fc.array(
    fc.record({
      deviceId: fc.constantFrom('a', 'b'),
      fixAtMs: fc.integer({ min: noon, max: noon + 50 }),
      satellites: fc.constantFrom(0, 9),
    }),
    { minLength: 1, maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(fixes, fc.integer({ min: 1, max: 20 }), async (positions, batchSize) => {
      const states = new DeviceStates(10, nothingStored, observe().metrics);
      const newest = new Map<string, number>();
      for (let at = 0; at < positions.length; at += batchSize) {
        const batch = positions.slice(at, at + batchSize).map((position) => fix(position));
        const proposed = await states.next(batch, never);
        states.commit(proposed);
        for (const { fix: heard, before, after } of proposed.transitions) {
          const { deviceId, fixAtMs, satellites } = heard.position;
          expect(before.lastFix?.fixAtMs).toBe(newest.get(deviceId));
          if (satellites > 0) newest.set(deviceId, Math.max(fixAtMs, newest.get(deviceId) ?? fixAtMs));
          expect(after.lastFix?.fixAtMs).toBe(newest.get(deviceId));
        }
      }
    }),
    { numRuns: 200 },
  );
});
