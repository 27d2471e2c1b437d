import type { Redis } from 'ioredis';
import type { Logger } from '@app/runtime/log';
import type { TraceStep } from '@app/runtime/tracing';
import { createOutageReport } from '../report-outage.ts';
import { applyEntry } from './apply-entry.ts';
import type { ApplyContext, EntryResult } from './apply-entry.ts';
import type { StreamCursor } from './stream-cursor.ts';
import { readStream } from './read-stream.ts';
import { traceApply } from './trace-apply.ts';

interface FeedOptions {
  readonly connect: () => Redis;
  readonly context: Omit<ApplyContext, 'streamNumber'>;
  readonly trace?: TraceStep | undefined;
  readonly onApplied: (result: EntryResult) => void;
  readonly batchSize: number;
  readonly blockMs: number;
  readonly lingerMs: (appliedMs: number) => number;
  readonly warmWindowMs: number;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  readonly onCaughtUp: (stream: string) => void;
  /** A place has moved: forward, or to where its stream now ends. */
  readonly onMoved: () => void;
  readonly onWentBack: (place: StreamCursor) => void;
  readonly log: Logger;
}

/** Reads all streams, each in a loop of its own, and applies their entries until the signal; rejects with its reason. */
export async function feedStreams(places: readonly StreamCursor[], options: FeedOptions): Promise<void> {
  await Promise.all(places.map((place, streamNumber) => feedStream(place, streamNumber, options)));
}

async function feedStream(place: StreamCursor, streamNumber: number, options: FeedOptions): Promise<void> {
  const { trace, nowMs, onApplied, onCaughtUp, log } = options;
  const context = { ...options.context, streamNumber };
  const { stream } = place;
  const reportTurn = createOutageReport(log, `reading ${stream}`);
  const batches = readStream({
    ...options,
    place,
    onLocated: ({ exists, length }, wentBack) => {
      place.noteTurn(nowMs());
      const at = { stream, exists, length, from: place.appliedId };
      options.onMoved();
      if (wentBack) options.onWentBack(place);
      if (wentBack) log.warn(at, 'the stream has gone back: going on from its end');
      else log.info(at, exists ? 'reading the stream' : 'the stream does not exist yet, waiting for it');
    },
    onTrouble: (error) => {
      place.noteTurn(nowMs());
      reportTurn(error);
    },
  });
  for await (const entries of batches) {
    const apply = (): void => {
      for (const entry of entries) onApplied(applyEntry(entry, context));
      place.advance(entries.map((entry) => entry.id));
      options.onMoved();
    };
    if (trace === undefined) apply();
    else await traceApply(trace, stream, entries, apply);
    place.noteTurn(nowMs());
    reportTurn();
    if (place.isCaughtUp) onCaughtUp(stream);
  }
}
