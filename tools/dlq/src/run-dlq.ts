import { deadLetterStream } from '@app/processor/stream/dead-letter';
import type { Redis } from 'ioredis';
import { listLetters, printList } from './list-letters.ts';
import { printable } from './printable.ts';
import { purgeLetters } from './purge-letters.ts';
import type { DlqArguments } from './read-arguments.ts';
import { failed, Refusal, wrongUsage } from './refusal.ts';
import { replayLetters } from './replay-letters.ts';
import { redisNowMs } from './select-letters.ts';
import { printLetter, type ShownLetter, showLetters } from './show-letters.ts';

/** What a command has to say: `json` for a program, or `text` for a person, and what went wrong. */
export interface Report {
  readonly json: unknown;
  readonly text: string;
  readonly problems: readonly string[];
  readonly exitCode: number;
}

const interrupted = 130;

/** Carries a command out on each of the streams, one after the other. */
export async function runDlq(
  redis: Redis,
  streams: readonly string[],
  asked: DlqArguments,
  signal: AbortSignal,
): Promise<Report> {
  for (const stream of streams) await assertStream(redis, stream);
  const command = { list, show, replay, purge }[asked.command];
  return await command(redis, streams, asked, signal);
}

async function list(redis: Redis, streams: readonly string[], asked: DlqArguments): Promise<Report> {
  const listed = [];
  for (const stream of streams) {
    listed.push(await listLetters(redis, stream, asked.selection, asked.isEach ? asked.limit : undefined));
  }
  const nowMs = await redisNowMs(redis);
  return done(
    { streams: listed },
    listed.map((each) => printList(each, nowMs)),
  );
}

async function show(redis: Redis, streams: readonly string[], asked: DlqArguments): Promise<Report> {
  const letters: ShownLetter[] = [];
  for (const stream of streams) {
    letters.push(...(await showLetters(redis, stream, asked.selection, asked.limit - letters.length)));
  }
  return withMissing(asked, letters.length, done({ letters }, letters.map(printLetter)));
}

async function replay(
  redis: Redis,
  streams: readonly string[],
  asked: DlqArguments,
  signal: AbortSignal,
): Promise<Report> {
  const results = [];
  for (const stream of streams) {
    const { selection, perSecond } = asked;
    results.push(await replayLetters({ redis, stream, selection, perSecond, signal }));
  }
  const lines = results.map(({ stream, replayed, gone }) => {
    const others = gone === 0 ? '' : `, ${gone} were taken by another command meanwhile`;
    return `${printable(stream)}: ${replayed} replayed${others}`;
  });
  const problems = results.flatMap(({ stream, notLetters }) =>
    notLetters.length === 0
      ? []
      : [
          `${printable(stream)}: left ${notLetters.length} alone that the processor did not write: ${some(notLetters)}`,
        ],
  );
  const found = results.reduce(
    (sum, { replayed, gone, notLetters }) => sum + replayed + gone + notLetters.length,
    0,
  );
  const report = done({ streams: results }, lines);
  if (signal.aborted) return interruptedReport(report);
  if (problems.length > 0) return { ...report, problems, exitCode: failed };
  return withMissing(asked, found, report);
}

async function purge(
  redis: Redis,
  streams: readonly string[],
  asked: DlqArguments,
  signal: AbortSignal,
): Promise<Report> {
  const { selection, isConfirmed } = asked;
  const results = [];
  for (const stream of streams)
    results.push(await purgeLetters(redis, stream, selection, isConfirmed, signal));
  const found = results.reduce((sum, { letters }) => sum + letters, 0);
  if (!isConfirmed) {
    const lines = results.map(({ stream, letters }) => `${printable(stream)}: ${letters} would be deleted`);
    const json = { streams: results.map(({ stream, letters }) => ({ stream, wouldPurge: letters })) };
    const problem = 'nothing was deleted; with --yes they are gone for good';
    return { ...done(json, lines), problems: [problem], exitCode: wrongUsage };
  }
  const lines = results.map(({ stream, letters }) => `${printable(stream)}: ${letters} deleted`);
  const report = done(
    { streams: results.map(({ stream, letters }) => ({ stream, purged: letters })) },
    lines,
  );
  return signal.aborted ? interruptedReport(report) : withMissing(asked, found, report);
}

function done(json: unknown, lines: readonly string[]): Report {
  return { json, text: lines.join('\n'), problems: [], exitCode: 0 };
}

function interruptedReport(report: Report): Report {
  const problem = 'interrupted; what is said to be done is done, and the same command goes on with the rest';
  return { ...report, problems: [problem], exitCode: interrupted };
}

/** Letters that were named one by one and are not all there: a script must not take that for done. */
function withMissing({ selection, limit, command }: DlqArguments, found: number, report: Report): Report {
  const named = (selection.ids ?? selection.entryIds)?.size;
  if (named === undefined || found >= (command === 'show' ? Math.min(named, limit) : named)) return report;
  const problem = `${named - found} of the ${named} named are not among the dead letters, or not as asked for`;
  return { ...report, problems: [problem], exitCode: failed };
}

/** A stream that is not there and has no dead letters is a name mistyped: "none" would soothe for nothing. */
async function assertStream(redis: Redis, stream: string): Promise<void> {
  const types = [await redis.type(stream), await redis.type(deadLetterStream(stream))];
  if (types.every((type) => type === 'none')) {
    throw new Refusal(
      `Redis has no stream ${printable(stream)} and no dead letters of it; is the name right?`,
      failed,
    );
  }
  if (!types.every((type) => type === 'none' || type === 'stream')) {
    throw new Refusal(`${printable(stream)}, or its dead letters, is a key of another type`, failed);
  }
}

function some(ids: readonly string[]): string {
  return `${ids.slice(0, 5).join(' ')}${ids.length > 5 ? ' …' : ''}`;
}
