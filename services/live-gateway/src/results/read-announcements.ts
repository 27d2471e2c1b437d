import { withDeadline } from '@app/runtime/deadline';
import type { Redis } from 'ioredis';
import type { Announcement } from './event-results.ts';
import { readChanges } from './result-rows.ts';

/** An announcement with its id in the stream `results:<event>`. */
export interface AnnouncementEntry extends Announcement {
  readonly id: string;
}

/** Half a minute of a busy event: what clients of a gateway that has just started can be resumed from. */
const historyEntries = 32;
const entriesPerRead = 32;
const replyMarginMs = 2000;
/** Before the first entry. */
const noEntry = '0-0';

/** The stream in which the processor announces revisions. */
function resultsStream(eventId: string): string {
  return `results:${eventId}`;
}

/** The newest announcements, oldest first, and the id to read on from. */
export async function readNewestAnnouncements(
  redis: Redis,
  eventId: string,
): Promise<{ readonly entries: readonly AnnouncementEntry[]; readonly lastId: string }> {
  const newest = await redis.xrevrange(resultsStream(eventId), '+', '-', 'COUNT', historyEntries);
  const entries = newest.toReversed().map(([id, fields]) => readEntry(eventId, id, fields));
  return { entries, lastId: entries.at(-1)?.id ?? noEntry };
}

/** What is announced after these ids, by event id; waits up to `blockMs` for the first one. */
export async function readAnnouncements(
  redis: Redis,
  lastIds: ReadonlyMap<string, string>,
  blockMs: number,
): Promise<ReadonlyMap<string, readonly AnnouncementEntry[]>> {
  const eventIds = [...lastIds.keys()];
  const reply = await withDeadline(
    redis.xread(
      'COUNT',
      entriesPerRead,
      'BLOCK',
      blockMs,
      'STREAMS',
      ...eventIds.map(resultsStream),
      ...lastIds.values(),
    ),
    blockMs + replyMarginMs,
    'XREAD',
  );
  const byStream = new Map(reply);
  return new Map(
    eventIds.flatMap((eventId) => {
      const entries = byStream.get(resultsStream(eventId));
      return entries
        ? [[eventId, entries.map(([id, fields]) => readEntry(eventId, id, fields))] as const]
        : [];
    }),
  );
}

/** An entry that cannot be read is like one without changes: the tables are read. */
function readEntry(eventId: string, id: string, fields: readonly string[]): AnnouncementEntry {
  const field = (name: string): string | undefined => {
    const at = fields.findIndex((value, n) => n % 2 === 0 && value === name);
    return at < 0 ? undefined : fields[at + 1];
  };
  const revisedAtUs = field('revised_at_us');
  const changes = field('changes');
  return {
    id,
    revision: { revision: Number(field('revision')), revisedAtUs: revisedAtUs ?? '' },
    changes: revisedAtUs === undefined || changes === undefined ? undefined : readChanges(eventId, changes),
  };
}
