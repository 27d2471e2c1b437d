import type { Logger } from '@app/runtime/log';
import type { TraceStep } from '@app/runtime/tracing';
import { createOutageReport } from '../report-outage.ts';
import { applyEntry } from './apply-entry.ts';
import type { ApplyTarget, EntryResult } from './apply-entry.ts';
import { readStream } from './read-stream.ts';
import type { ReadSettings } from './read-stream.ts';
import type { StreamCursor, StreamInfo } from './stream-cursor.ts';
import { traceApply } from './trace-apply.ts';

interface FeedOptions {
  readonly settings: ReadSettings;
  readonly target: ApplyTarget;
  readonly trace: TraceStep | undefined;
  readonly log: Logger;
  readonly onApplied: (result: EntryResult) => void;
  /** The cursor has moved. */
  readonly onMoved: (cursor: StreamCursor) => void;
  readonly onRewound: (cursor: StreamCursor, info: StreamInfo) => void;
}

/**
 * Reads a stream and applies its entries until the signal; rejects with its reason.
 *
 * @param streamNumber index of the stream in `REDIS_TELEMETRY_STREAM`.
 */
export async function feedStream(
  cursor: StreamCursor,
  streamNumber: number,
  options: FeedOptions,
  signal: AbortSignal,
): Promise<void> {
  const { settings, target, trace, log, onApplied, onMoved, onRewound } = options;
  const { stream } = cursor;
  const reportOutage = createOutageReport(log, 'stream read', { stream });
  for await (const event of readStream(cursor, settings, signal)) {
    if (event.type === 'failed') {
      cursor.noteFailedRead();
      reportOutage(event.error);
    } else if (event.type === 'located') {
      const { exists, length } = event.info;
      onMoved(cursor);
      if (event.isRewound) onRewound(cursor, event.info);
      else if (exists) log.info({ stream, length, fromId: cursor.appliedId }, 'reading stream');
      else log.info({ stream }, 'stream does not exist yet; waiting for its first entry');
    } else {
      const { entries } = event;
      const apply = (): void => {
        for (const entry of entries) onApplied(applyEntry(entry, streamNumber, target));
        cursor.advance(entries.map((entry) => entry.id));
        onMoved(cursor);
      };
      if (trace === undefined) apply();
      else await traceApply(trace, stream, entries, apply);
      reportOutage();
    }
    cursor.noteProgress();
  }
}
