import { replayDeadLetters } from '@app/dlq/replay-dead-letters';
import { deadLetterStream } from '@app/processor/stream/dead-letter';
import { wholeBetween } from '@app/fleet-sim/random';
import { group } from '../open-harness.ts';
import type { Fault } from './fault.ts';

// Trims acknowledged entries only, checked and trimmed in one step. With 1 as ARGV[2] the last delivered entry is trimmed
// as well, so that the stream may become empty.
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
    target: 'stream',
    run: async ({ producer, random, log }) => {
      const entries = wholeBetween(random, 1000, 8000);
      log(`${entries} entries at once`);
      producer.burst(entries);
    },
  },
  {
    name: 'trimmed',
    target: 'stream',
    run: async ({ harness: { redis, stream }, random, log }) => {
      const takesLast = random() < 0.5;
      try {
        const trimmed = await redis.eval(trimScript, 1, stream, group, takesLast ? '1' : '0');
        log(`${String(trimmed)} acknowledged entries trimmed`);
      } catch {
        // Another fault may affect Redis at the same time.
        log('acknowledged entries not trimmed: Redis does not answer');
      }
    },
  },
  {
    name: 'replayed',
    target: 'stream',
    run: async ({ harness: { redis, stream }, producer, log }) => {
      // Their causes remain, so each is dead-lettered again, once.
      const deadLetters = await redis.xlen(deadLetterStream(stream)).catch(() => 0);
      try {
        const { signal } = new AbortController();
        const { replayed } = await replayDeadLetters({
          redis,
          stream,
          selection: {},
          perSecond: 100_000,
          signal,
        });
        producer.noteReplay(replayed, 0);
        log(`${replayed} dead letters replayed`);
      } catch {
        // At most those that were there, and some that were dead-lettered meanwhile.
        producer.noteReplay(0, deadLetters + 1000);
        log('dead letters replayed in part: Redis did not answer');
      }
    },
  },
];
