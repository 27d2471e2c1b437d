import { deadLetterStream } from '@app/processor/stream/dead-letter';
import type { Redis } from 'ioredis';
import { checkReplay } from './check-replay.ts';
import { listDeadLetters, printList } from './list-dead-letters.ts';
import { printable } from './printable.ts';
import { purgeDeadLetters } from './purge-dead-letters.ts';
import type { DlqArguments } from './read-arguments.ts';
import { failed, Refusal, wrongUsage } from './refusal.ts';
import { replayDeadLetters } from './replay-dead-letters.ts';
import { redisNowMs } from './select-dead-letters.ts';
import { printDeadLetter, type ShownDeadLetter, showDeadLetters } from './show-dead-letters.ts';

/** The result of a command: `json` for programs or `text` for people, and problems for stderr. */
export interface Report {
  readonly json: unknown;
  readonly text: string;
  readonly problems: readonly string[];
  readonly exitCode: number;
}

/** The command line, and the settings that a command needs. */
export interface DlqInput extends DlqArguments {
  /** `FUTURE_LIMIT_MS` */
  readonly futureLimitMs: number;
}

type Command = (
  redis: Redis,
  streams: readonly string[],
  args: DlqInput,
  signal: AbortSignal,
) => Promise<Report>;

const interrupted = 130;

/** Runs a command on each stream, one after the other. */
export const runDlq: Command = async (redis, streams, args, signal) => {
  for (const stream of streams) await assertStream(redis, stream);
  const command = { list, show, replay, purge }[args.command];
  return await command(redis, streams, args, signal);
};

const list: Command = async (redis, streams, { selection, isEach, limit }) => {
  const results = await inOrder(streams, (stream) =>
    listDeadLetters(redis, stream, selection, isEach ? limit : undefined),
  );
  const nowMs = await redisNowMs(redis);
  return success(
    { streams: results },
    results.map((result) => printList(result, nowMs)),
  );
};

const show: Command = async (redis, streams, args) => {
  const letters: ShownDeadLetter[] = [];
  for (const stream of streams) {
    letters.push(...(await showDeadLetters(redis, stream, args.selection, args.limit - letters.length)));
  }
  const lines =
    letters.length > 0
      ? letters.map(printDeadLetter)
      : streams.map((stream) => `${printable(stream)}: no dead letters selected`);
  return withMissing(args, letters.length, success({ letters }, lines));
};

const replay: Command = async (redis, streams, args, signal) => {
  const { selection, perSecond, isForced, futureLimitMs } = args;
  if (!isForced) {
    const objections = await inOrder(streams, (stream) =>
      checkReplay(redis, stream, selection, futureLimitMs),
    );
    const problems = objections.filter((objection) => objection !== undefined);
    if (problems.length > 0) throw new Refusal(problems.join('\n'), failed);
  }
  const results = await inOrder(streams, (stream) =>
    replayDeadLetters({ redis, stream, selection, perSecond, signal }),
  );
  const lines = results.map(({ stream, replayed, gone }) => {
    const others = gone === 0 ? '' : `, ${gone} taken by another command meanwhile`;
    return `${printable(stream)}: ${replayed} replayed${others}`;
  });
  const problems = results.flatMap(({ stream, notLetters }) =>
    notLetters.length === 0
      ? []
      : [
          `${printable(stream)}: skipped ${notLetters.length} not written by the processor: ${firstOf(notLetters)}`,
        ],
  );
  const found = sum(results, ({ replayed, gone, notLetters }) => replayed + gone + notLetters.length);
  const report = success({ streams: results }, lines);
  if (signal.aborted) return interruptedReport(report);
  if (problems.length > 0) return { ...report, problems, exitCode: failed };
  return withMissing(args, found, report);
};

const purge: Command = async (redis, streams, args, signal) => {
  const { selection, isConfirmed } = args;
  const results = await inOrder(streams, (stream) =>
    purgeDeadLetters(redis, stream, selection, isConfirmed, signal),
  );
  const json = results.map(({ stream, letters }) =>
    isConfirmed ? { stream, purged: letters } : { stream, wouldPurge: letters },
  );
  const verb = isConfirmed ? 'deleted' : 'would be deleted';
  const lines = results.map(({ stream, letters }) => `${printable(stream)}: ${letters} ${verb}`);
  const report = success({ streams: json }, lines);
  if (!isConfirmed) {
    return {
      ...report,
      problems: ['nothing was deleted; add --yes to delete for good'],
      exitCode: wrongUsage,
    };
  }
  if (signal.aborted) return interruptedReport(report);
  return withMissing(
    args,
    sum(results, ({ letters }) => letters),
    report,
  );
};

async function inOrder<T>(
  streams: readonly string[],
  act: (stream: string) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = [];
  for (const stream of streams) results.push(await act(stream));
  return results;
}

function success(json: unknown, lines: readonly string[]): Report {
  return { json, text: lines.join('\n'), problems: [], exitCode: 0 };
}

function interruptedReport(report: Report): Report {
  const problem = 'interrupted; run the same command again for the rest';
  return { ...report, problems: [problem], exitCode: interrupted };
}

/** Fails a report if not all ids that were named were found, so that a script notices. */
function withMissing({ selection, limit, command }: DlqArguments, found: number, report: Report): Report {
  const named = (selection.ids ?? selection.entryIds)?.size;
  if (named === undefined || found >= (command === 'show' ? Math.min(named, limit) : named)) return report;
  const problem = `${named - found} of the ${named} ids are not dead letters, or do not match the other options`;
  return { ...report, problems: [problem], exitCode: failed };
}

/** A name without a stream and without dead letters is mistyped: reporting none would mislead. */
async function assertStream(redis: Redis, stream: string): Promise<void> {
  const types = [await redis.type(stream), await redis.type(deadLetterStream(stream))];
  if (types.every((type) => type === 'none')) {
    throw new Refusal(
      `Redis has neither a stream ${printable(stream)} nor its dead letters; check the name`,
      failed,
    );
  }
  if (!types.every((type) => type === 'none' || type === 'stream')) {
    throw new Refusal(`${printable(stream)} or its dead-letter key is not a stream`, failed);
  }
}

function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}

function firstOf(ids: readonly string[]): string {
  return `${ids.slice(0, 5).join(' ')}${ids.length > 5 ? ' …' : ''}`;
}
