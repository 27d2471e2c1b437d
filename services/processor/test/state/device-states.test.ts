import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fix } from '../support/fixes.ts';
import { observe } from '../support/observed.ts';
import type { Fix } from '../../src/fix.ts';
import { DeviceStateCap } from '../../src/state/device-state-cap.ts';
import { DeviceStates, type FindLastFixes, type LastFix } from '../../src/state/device-states.ts';

const noon = Date.UTC(2026, 5, 1, 12);
const never = new AbortController().signal;
const nothingStored: FindLastFixes = async () => new Map();

function lastFix(fixAtMs: number): LastFix {
  return { fixAtMs, latitude: 46.5, longitude: 7.25, altitudeM: 800, courseDeg: 90, speedKmh: 42.5 };
}

function openStates(cap: number, find: FindLastFixes = nothingStored, { metrics } = observe()): DeviceStates {
  return new DeviceStates(new DeviceStateCap(cap, metrics), find, metrics);
}

/** Commits one batch and returns the last fix's time before and after each fix. */
async function commitBatch(states: DeviceStates, fixes: readonly Fix[]): Promise<(number | undefined)[][]> {
  const proposed = await states.next(fixes, never);
  states.commit(proposed);
  return proposed.transitions.map(({ before, after }) => [before.lastFix?.fixAtMs, after.lastFix?.fixAtMs]);
}

test('a newer fix updates the state of its device only', async () => {
  const states = openStates(10);
  const times = await commitBatch(states, [
    fix({ deviceId: 'a', fixAtMs: noon }),
    fix({ deviceId: 'b', fixAtMs: noon - 5 }),
    fix({ deviceId: 'a', fixAtMs: noon + 1 }),
  ]);
  expect(times).toEqual([
    [undefined, noon],
    [undefined, noon - 5],
    [noon, noon + 1],
  ]);
});

test('late and repeated fixes do not change the last fix', async () => {
  const states = openStates(10);
  await commitBatch(states, [fix({ fixAtMs: noon, latitude: 1 })]);
  const { transitions } = await states.next(
    [fix({ fixAtMs: noon - 1, latitude: 2 }), fix({ fixAtMs: noon, latitude: 3 })],
    never,
  );
  for (const { after } of transitions) expect(after.lastFix).toMatchObject({ fixAtMs: noon, latitude: 1 });
});

test('a flagged fix yields a transition and updates only the last-seen time', async () => {
  const states = openStates(10);
  await commitBatch(states, [fix({ fixAtMs: noon })]);
  const { transitions } = await states.next([fix({ fixAtMs: noon + 5000, satellites: 0 })], never);
  expect(transitions).toHaveLength(1);
  expect(transitions[0]?.after).toMatchObject({ lastFix: { fixAtMs: noon }, lastSeenAtMs: noon + 6000 });
});

test('the last-seen time is the newest arrival and never decreases', async () => {
  const states = openStates(10);
  const { transitions } = await states.next([fix({ fixAtMs: noon }), fix({ fixAtMs: noon - 9000 })], never);
  expect(transitions.map(({ after }) => after.lastSeenAtMs)).toEqual([noon + 1000, noon + 1000]);
});

test('before the commit nothing is kept, and the same batch counts as new again', async () => {
  const { metrics, metric } = observe();
  const states = new DeviceStates(new DeviceStateCap(10, metrics), nothingStored, metrics);
  const batch = [fix({ fixAtMs: noon })];
  const first = await states.next(batch, never);
  const second = await states.next(batch, never);
  expect(second).toEqual(first);
  expect(await metric('processor_device_state_size')).toBe(0);
  states.commit(second);
  expect(await metric('processor_device_state_size')).toBe(1);
  expect((await states.next(batch, never)).transitions[0]?.before.lastFix?.fixAtMs).toBe(noon);
});

test('unknown devices are looked up once per batch, before their oldest good fix in it', async () => {
  const asked: ReadonlyMap<string, number>[] = [];
  const stored: FindLastFixes = async (olderThanMs) => {
    asked.push(olderThanMs);
    return new Map([['a', lastFix(noon - 60_000)]]);
  };
  const states = openStates(10, stored);
  const times = await commitBatch(states, [
    fix({ deviceId: 'a', fixAtMs: noon }),
    fix({ deviceId: 'b', fixAtMs: noon }),
    fix({ deviceId: 'a', fixAtMs: noon - 1000 }),
    // The fix of an unset clock is flagged, so it does not move the time back.
    fix({ deviceId: 'a', fixAtMs: Date.UTC(2001, 0, 1) }),
  ]);
  expect(asked).toEqual([
    new Map([
      ['a', noon - 1000],
      ['b', noon],
    ]),
  ]);
  expect(times[0]).toEqual([noon - 60_000, noon]);
  await commitBatch(states, [
    fix({ deviceId: 'a', fixAtMs: noon + 1 }),
    fix({ deviceId: 'b', fixAtMs: noon + 1 }),
  ]);
  expect(asked).toHaveLength(1);
});

test('a device is not looked up before its first good fix', async () => {
  const asked: ReadonlyMap<string, number>[] = [];
  const stored: FindLastFixes = async (olderThanMs) => {
    asked.push(olderThanMs);
    const isBefore = (olderThanMs.get('a') ?? 0) > noon - 60_000;
    return new Map(isBefore ? [['a', lastFix(noon - 60_000)]] : []);
  };
  const states = openStates(10, stored);
  // A look-up would find the good fix that follows, stored by a process that crashed before its domain step.
  const blind = fix({ deviceId: 'a', fixAtMs: noon - 30_000, satellites: 0 });
  expect(await commitBatch(states, [blind])).toEqual([[undefined, undefined]]);
  expect(await commitBatch(states, [blind])).toEqual([[undefined, undefined]]);
  expect(asked).toEqual([]);
  const good = fix({ deviceId: 'a', fixAtMs: noon - 60_000 });
  expect(await commitBatch(states, [good])).toEqual([[undefined, noon - 60_000]]);
  expect(await commitBatch(states, [fix({ deviceId: 'a', fixAtMs: noon })])).toEqual([[noon - 60_000, noon]]);
  expect(asked).toHaveLength(1);
});

test('the last fix stored before the first good fix of this process is found', async () => {
  const stored: FindLastFixes = async () => new Map([['a', lastFix(noon - 60_000)]]);
  const states = openStates(10, stored);
  await commitBatch(states, [fix({ deviceId: 'a', fixAtMs: noon - 1000, satellites: 0 })]);
  const { transitions } = await states.next([fix({ deviceId: 'a', fixAtMs: noon })], never);
  expect(transitions[0]?.before).toMatchObject({ lastFix: { fixAtMs: noon - 60_000 }, lastSeenAtMs: noon });
});

test('a batch that is empty or has only known devices needs no look-up', async () => {
  let lookUps = 0;
  const count: FindLastFixes = async () => {
    lookUps += 1;
    return new Map();
  };
  const states = openStates(10, count);
  await commitBatch(states, []);
  await commitBatch(states, [fix({ fixAtMs: noon })]);
  await commitBatch(states, [fix({ fixAtMs: noon + 1 })]);
  expect(lookUps).toBe(1);
});

test('the least recently updated devices are evicted and counted, and looked up when they return', async () => {
  const { metrics, metric } = observe();
  const asked: string[][] = [];
  const stored: FindLastFixes = async (olderThanMs) => {
    asked.push([...olderThanMs.keys()]);
    return new Map();
  };
  const states = new DeviceStates(new DeviceStateCap(2, metrics), stored, metrics);
  await commitBatch(states, [fix({ deviceId: 'a' }), fix({ deviceId: 'b' })]);
  await commitBatch(states, [fix({ deviceId: 'a', fixAtMs: noon })]);
  await commitBatch(states, [fix({ deviceId: 'c' })]);
  expect(await metric('processor_device_state_evictions_total')).toBe(1);
  expect(await metric('processor_device_state_size')).toBe(2);
  await commitBatch(states, [fix({ deviceId: 'a', fixAtMs: noon + 1 }), fix({ deviceId: 'b' })]);
  expect(asked).toEqual([['a', 'b'], ['c'], ['b']]);
});

test('the cap and the size count the states of all streams together', async () => {
  const { metrics, metric } = observe();
  const cap = new DeviceStateCap(4, metrics);
  const asked: string[] = [];
  const open = (): DeviceStates =>
    new DeviceStates(
      cap,
      async (olderThanMs) => {
        asked.push(...olderThanMs.keys());
        return new Map();
      },
      metrics,
    );
  const [one, other] = [open(), open()];
  for (const deviceId of ['a', 'b', 'c']) await commitBatch(one, [fix({ deviceId })]);
  await commitBatch(other, [fix({ deviceId: 'a' })]);
  expect(await metric('processor_device_state_size')).toBe(4);
  expect(await metric('processor_device_state_evictions_total')).toBe(0);
  await commitBatch(other, [fix({ deviceId: 'd' })]);
  expect(await metric('processor_device_state_size')).toBe(4);
  expect(await metric('processor_device_state_evictions_total')).toBe(1);
  // Of the stream with most states the one that was updated first.
  asked.length = 0;
  await commitBatch(one, [fix({ deviceId: 'b' }), fix({ deviceId: 'c' }), fix({ deviceId: 'a' })]);
  expect(asked).toEqual(['a']);
});

test('in any order of fixes, a state never goes back in time and ends at the newest good fix', async () => {
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
      const states = openStates(10);
      const newest = new Map<string, number>();
      for (let at = 0; at < positions.length; at += batchSize) {
        const batch = positions.slice(at, at + batchSize).map((position) => fix(position));
        const proposed = await states.next(batch, never);
        states.commit(proposed);
        for (const { fix: folded, before, after } of proposed.transitions) {
          const { deviceId, fixAtMs, satellites } = folded.position;
          expect(before.lastFix?.fixAtMs).toBe(newest.get(deviceId));
          if (satellites > 0) newest.set(deviceId, Math.max(fixAtMs, newest.get(deviceId) ?? fixAtMs));
          expect(after.lastFix?.fixAtMs).toBe(newest.get(deviceId));
        }
      }
    }),
    { numRuns: 200 },
  );
});
