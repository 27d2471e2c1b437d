/* oxlint-disable typescript/unbound-method -- each original is called on the object that was spied on */
import { afterEach, expect, test, vi } from 'vitest';
import { DeviceStates } from '../../src/state/device-states.ts';
import { FixWriter, type WrittenFixes } from '../../src/store/write-fixes.ts';
import { EntryReader } from '../../src/stream/read-entries.ts';
import { StreamConnection } from '../../src/stream/stream-connection.ts';
import { playModel } from './play-model.ts';

// The model is worth what it detects. Here one step of the real loop breaks the promise.
afterEach(() => vi.restoreAllMocks());

/** Plays runs until one of them fails, and returns what it says. */
async function firstFailure(): Promise<string> {
  const { failures } = await playModel({
    restarting: 0,
    seed: 1,
    runs: 200,
    runsAtOnce: 8,
    stillLimitMs: 3000,
    shrinkLimitMs: 0,
    enoughFailures: 1,
  });
  return failures[0] ?? 'not found out';
}

/** Changes what the real writer returns. */
function changeWritten(change: (written: WrittenFixes) => WrittenFixes): void {
  const { write } = FixWriter.prototype;
  vi.spyOn(FixWriter.prototype, 'write').mockImplementation(async function (this: FixWriter, ...args) {
    return change(await write.apply(this, args));
  });
}

test('an acknowledgement before the insert is found out', async () => {
  const { write } = FixWriter.prototype;
  vi.spyOn(FixWriter.prototype, 'write').mockImplementation(async function (this: FixWriter, fixes, ...rest) {
    write.call(this, fixes, ...rest).catch(() => undefined);
    return { durable: fixes, conflicting: [], refused: [] };
  });
  expect(await firstFailure()).toMatch(
    /, neither stored nor parked$| before the domain heard it$|which is not stored$/mu,
  );
});

test('a state that is kept before the domain has heard it is found out', async () => {
  const { next } = DeviceStates.prototype;
  vi.spyOn(DeviceStates.prototype, 'next').mockImplementation(async function (this: DeviceStates, ...args) {
    const proposed = await next.apply(this, args);
    this.commit(proposed);
    return proposed;
  });
  expect(await firstFailure()).toMatch(/^\w+ keeps \d+ states where the domain has heard \d+$/mu);
});

test('duplicates that the domain does not hear are found out', async () => {
  const seen = new Set<string>();
  changeWritten((written) => {
    const durable = written.durable.filter(({ entry }) => !seen.has(entry.id));
    for (const { entry } of durable) seen.add(entry.id);
    return { ...written, durable };
  });
  expect(await firstFailure()).toMatch(/before the domain heard it$|the domain never heard it$/mu);
});

test('entries that the domain hears in another order than they were read in are found out', async () => {
  const { next } = EntryReader.prototype;
  vi.spyOn(EntryReader.prototype, 'next').mockImplementation(async function (this: EntryReader, stop) {
    const batch = await next.call(this, stop);
    return batch && { ...batch, entries: batch.entries.toReversed() };
  });
  expect(await firstFailure()).toMatch(/^\w+: the domain heard \S+ before \S+$/mu);
});

test('a refused row that is acknowledged and not parked is found out', async () => {
  changeWritten((written) => ({ ...written, refused: [] }));
  expect(await firstFailure()).toMatch(/, neither stored nor parked$/mu);
});

test('own pending entries that are never read again are found out', async () => {
  const call: unknown = Reflect.get(StreamConnection.prototype, 'call');
  if (typeof call !== 'function') throw new TypeError('a connection that cannot call');
  vi.spyOn(StreamConnection.prototype, 'call').mockImplementation(async function (
    this: StreamConnection,
    command,
    args,
    ...more: readonly unknown[]
  ): Promise<unknown> {
    const isOwnPending = command === 'XREADGROUP' && args.at(-1) !== '>';
    const nothing = { entries: [], vanishedIds: [], bytes: 0 };
    return isOwnPending ? nothing : Reflect.apply(call, this, [command, args, ...more]);
  });
  expect(await firstFailure()).toMatch(/nothing moves any more: .* pending: [1-9]/u);
});
