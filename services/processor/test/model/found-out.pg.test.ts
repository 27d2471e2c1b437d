import { afterEach, expect, test, vi } from 'vitest';
import type { PipelineParts, runPipeline } from '../../src/pipeline/pipeline.ts';
import { StreamConnection } from '../../src/stream/stream-connection.ts';
import { playModel } from './play-model.ts';

// The model is worth what it finds. Here the core's own loop is put together with one step that breaks the promise.
const sabotage = vi.hoisted((): { bend: (parts: PipelineParts) => PipelineParts } => ({
  bend: (parts) => parts,
}));
vi.mock('../../src/pipeline/pipeline.ts', async (importOriginal) => {
  const original = await importOriginal<{ runPipeline: typeof runPipeline }>();
  const bent: typeof runPipeline = (parts, stop, abandon) =>
    original.runPipeline(sabotage.bend(parts), stop, abandon);
  return { ...original, runPipeline: bent };
});

afterEach(() => {
  sabotage.bend = (parts) => parts;
  vi.restoreAllMocks();
});

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

test('an acknowledgement before the insert is found out', async () => {
  sabotage.bend = (parts) => ({
    ...parts,
    next: async (stop) => {
      const batch = await parts.next(stop);
      parts.acks.add(batch?.entries.map(({ id }) => id) ?? [], stop);
      return batch;
    },
  });
  expect(await firstFailure()).toMatch(
    /^\w+ acknowledges \S+ \(.*\)(?:, neither stored nor parked| before the domain heard it)$/mu,
  );
});

test('a state that is kept before the domain has heard it is found out', async () => {
  sabotage.bend = (parts) => ({
    ...parts,
    states: {
      next: async (fixes, abandon) => {
        const proposed = await parts.states.next(fixes, abandon);
        parts.states.commit(proposed);
        return proposed;
      },
      commit: () => undefined,
    },
  });
  expect(await firstFailure()).toMatch(/^\w+ keeps \d+ states where the domain has heard \d+$/mu);
});

test('duplicates that the domain does not hear are found out', async () => {
  const seen = new Set<string>();
  sabotage.bend = (parts) => ({
    ...parts,
    writer: {
      whenNotRetrying: () => parts.writer.whenNotRetrying(),
      write: async (fixes, abandon, attempt) => {
        const written = await parts.writer.write(fixes, abandon, attempt);
        const durable = written.durable.filter(({ entry }) => !seen.has(entry.id));
        for (const { entry } of durable) seen.add(entry.id);
        return { ...written, durable };
      },
    },
  });
  expect(await firstFailure()).toMatch(/before the domain heard it$|the domain never heard it$/mu);
});

test('entries that the domain hears in another order than they were read in are found out', async () => {
  sabotage.bend = (parts) => ({
    ...parts,
    next: async (stop) => {
      const batch = await parts.next(stop);
      return batch && { ...batch, entries: batch.entries.toReversed() };
    },
  });
  expect(await firstFailure()).toMatch(/^\w+: the domain heard \S+ before \S+$/mu);
});

test('a refused row that is acknowledged and not parked is found out', async () => {
  sabotage.bend = (parts) => ({
    ...parts,
    writer: {
      whenNotRetrying: () => parts.writer.whenNotRetrying(),
      write: async (fixes, abandon, attempt) => {
        const written = await parts.writer.write(fixes, abandon, attempt);
        return { ...written, refused: [] };
      },
    },
  });
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
