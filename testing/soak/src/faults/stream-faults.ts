import { replayDeadLetters } from '@app/dlq/replay-dead-letters';
import { deadLetterStream } from '@app/processor/stream/dead-letter';
import { wholeBetween } from '@app/fleet-sim/random';
import { group } from '../open-world.ts';
import type { Fault } from './fault.ts';

// What a careful trimmer does: nothing that is unread or pending goes, asked and trimmed in one step. With a 1 as
// ARGV[2] the last delivered entry goes as well, so that the stream may be empty.
const trimScript = `
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1])
  if pending[1] > 0 then return redis.call('XTRIM', KEYS[1], 'MINID', pending[2]) end
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local one = {}
    for i = 1, #flat, 2 do one[flat[i]] = flat[i + 1] end
    if one.name == ARGV[1] then
      local ms, seq = string.match(one['last-delivered-id'], '(%d+)-(%d+)')
      return redis.call('XTRIM', KEYS[1], 'MINID', ms .. '-' .. (tonumber(seq) + tonumber(ARGV[2])))
    end
  end
  return 0`;

export const streamFaults: readonly Fault[] = [
  {
    name: 'burst',
    place: 'stream',
    run: async ({ feed, random, say }) => {
      const entries = wholeBetween(random, 1000, 8000);
      say(`${entries} entries at once`);
      feed.burst(entries);
    },
  },
  {
    name: 'trimmed',
    place: 'stream',
    run: async ({ world: { redis, stream }, random, say }) => {
      const takesLast = random() < 0.5;
      try {
        const trimmed = await redis.eval(trimScript, 1, stream, group, takesLast ? '1' : '0');
        say(`${String(trimmed)} acknowledged entries trimmed`);
      } catch {
        // Redis is away as well just now; a trimmer would come again.
        say('acknowledged entries not trimmed: Redis does not answer');
      }
    },
  },
  {
    name: 'replayed',
    place: 'stream',
    run: async ({ world: { redis, stream }, feed, say }) => {
      // Nothing has been put right: each comes back, as one letter, whatever else fails meanwhile.
      const letters = await redis.xlen(deadLetterStream(stream)).catch(() => 0);
      try {
        const { signal } = new AbortController();
        const { replayed } = await replayDeadLetters({
          redis,
          stream,
          selection: {},
          perSecond: 100_000,
          signal,
        });
        feed.noteReplay(replayed, 0);
        say(`${replayed} dead letters replayed`);
      } catch {
        // More than these were not there when it began, but for those that were parked in that moment.
        feed.noteReplay(0, letters + 1000);
        say('dead letters replayed in part: Redis did not answer');
      }
    },
  },
];
