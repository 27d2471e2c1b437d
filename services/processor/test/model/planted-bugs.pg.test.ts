/* oxlint-disable typescript/unbound-method -- each original is called on the object that was spied on */
import { afterEach, expect, test, vi } from 'vitest';
import { DeviceStates } from '../../src/state/device-states.ts';
import { FixWriter, type WrittenFixes } from '../../src/store/write-fixes.ts';
import { StreamClient } from '../../src/stream/stream-client.ts';
import { runModel } from './run-model.ts';

// The model is worth what it detects: here one step of the real loop breaks the promise.
afterEach(() => vi.restoreAllMocks());

/** Runs plans until one fails, and returns its description. */
async function firstFailure(): Promise<string> {
  const limits = { stillLimitMs: 3000, isShrunk: false, maxFailures: 1 };
  const { failures } = await runModel({ seed: 1, runs: 200, concurrency: 8, ownRedises: 0, ...limits });
  return failures[0] ?? 'not detected';
}

const { write } = FixWriter.prototype;
const { next: propose } = DeviceStates.prototype;

function changeWritten(change: (written: WrittenFixes) => WrittenFixes): void {
  vi.spyOn(FixWriter.prototype, 'write').mockImplementation(async function (this: FixWriter, ...args) {
    return change(await write.apply(this, args));
  });
}

test('an acknowledgement before the insert is detected', async () => {
  vi.spyOn(FixWriter.prototype, 'write').mockImplementation(async function (this: FixWriter, fixes, ...rest) {
    write.call(this, fixes, ...rest).catch(() => undefined);
    return { durable: fixes, repeated: new Set(), conflicting: [], refused: [] };
  });
  expect(await firstFailure()).toMatch(/neither stored nor dead-lettered$|before it is stored$/mu);
});

test('a state that is committed before the domain step is detected', async () => {
  vi.spyOn(DeviceStates.prototype, 'next').mockImplementation(async function (this: DeviceStates, ...args) {
    const proposed = await propose.apply(this, args);
    this.commit(proposed);
    return proposed;
  });
  expect(await firstFailure()).toMatch(/\w+: \d+ states committed of \d+$/mu);
});

test('duplicates that are not passed to the domain step are detected', async () => {
  const seen = new Set<string>();
  changeWritten((written) => {
    const durable = written.durable.filter(({ entry }) => !seen.has(entry.id));
    for (const { entry } of durable) seen.add(entry.id);
    return { ...written, durable };
  });
  expect(await firstFailure()).toMatch(/acknowledged before the domain step$/mu);
});

test('fixes that are passed to the domain step in another order than they were read in are detected', async () => {
  vi.spyOn(DeviceStates.prototype, 'next').mockImplementation(async function (
    this: DeviceStates,
    fixes,
    signal,
  ) {
    return await propose.call(this, fixes.toReversed(), signal);
  });
  expect(await firstFailure()).toMatch(/\w+: \S+ passed to the domain step before \S+$/mu);
});

test('a refused row that is acknowledged and not dead-lettered is detected', async () => {
  changeWritten((written) => ({ ...written, refused: [] }));
  expect(await firstFailure()).toMatch(/neither stored nor dead-lettered$/mu);
});

test('own pending entries that are never read are detected', async () => {
  const nothing = { entries: [], vanishedIds: [], bytes: 0 };
  vi.spyOn(StreamClient.prototype, 'readPending').mockResolvedValue(nothing);
  expect(await firstFailure()).toMatch(/no progress: .* pending: \d/u);
});
