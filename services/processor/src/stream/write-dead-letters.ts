import type { Redis } from 'ioredis';
import { deadLetterStream } from './dead-letter.ts';

export interface DeadLetterTarget {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  /** Maximum length of the dead-letter stream. */
  readonly maxLength: number;
  /** At the maximum length: leave the rest unwritten, or trim the oldest dead letters. */
  readonly whenFull: 'wait' | 'trim';
}

/** A dead letter to be written: its fields are those of `encodeDeadLetter`. */
export interface EncodedDeadLetter {
  readonly entryId: string;
  readonly reason: string;
  readonly fields: readonly (Buffer | string)[];
}

/** `written`: with this attempt or one whose reply was lost. `claimed`: another consumer has claimed the entry. */
export type DeadLetterOutcome = 'written' | 'claimed';

export interface WrittenDeadLetters {
  /** Of the first dead letters, in their order; fewer than were given if the dead-letter stream is full. */
  readonly outcomes: readonly DeadLetterOutcome[];
  /** Older dead letters that were trimmed. */
  readonly trimmed: number;
}

/** Lua's stack holds some 8,000 values. */
const maxScriptFields = 7000;

// Adds a dead letter and acknowledges its entry atomically: after a crash, a lost reply or a claim it is not written twice,
// and several replicas together do not exceed the maximum length. An entry that the group has reached and that is no longer
// pending was written by the attempt whose reply was lost (ARGV[5]), or acknowledged by a consumer that had claimed it. If
// the stream does not hold it or the group has not reached it, stream or group were recreated, and it is written: in doubt
// twice. XADD comes before XACK: if Redis refuses it, for lack of memory as well, the script ends.
const writeScript = `
  local dlq, stream = KEYS[1], KEYS[2]
  local group, consumer, max, trims, isRepeated = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == 'trim', ARGV[5] == '1'
  local function order(id)
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    return tonumber(ms), tonumber(seq)
  end
  local function isAcknowledged(id)
    if not redis.call('XRANGE', stream, id, id)[1] then return false end
    for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
      local info = {}
      for i = 1, #flat, 2 do info[flat[i]] = flat[i + 1] end
      if info.name == group then
        local ms, seq = order(id)
        local lastMs, lastSeq = order(info['last-delivered-id'])
        return lastMs > ms or (lastMs == ms and lastSeq >= seq)
      end
    end
    return false
  end
  local result = { 0 }
  local at = 6
  while at < #ARGV do
    local id, last = ARGV[at], at + 1 + tonumber(ARGV[at + 1])
    local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
    local owner = not pending.err and pending[1] and pending[1][2]
    if owner and owner ~= consumer then
      result[#result + 1] = 'claimed'
    elseif not owner and isAcknowledged(id) then
      result[#result + 1] = isRepeated and 'written' or 'claimed'
    else
      local length = redis.call('XLEN', dlq)
      if length >= max and not trims then return result end
      if trims then
        redis.call('XADD', dlq, 'MAXLEN', '=', max, '*', unpack(ARGV, at + 2, last))
        result[1] = result[1] + length + 1 - redis.call('XLEN', dlq)
      else
        redis.call('XADD', dlq, '*', unpack(ARGV, at + 2, last))
      end
      if owner then redis.call('XACK', stream, group, id) end
      result[#result + 1] = 'written'
    end
    at = last + 1
  end
  return result`;

/**
 * Moves rejected entries from the pending ones to the dead-letter stream, in one script. Rejects with Redis' error, and then
 * nothing is written unless the reply was lost: call it again with `isRepeated`.
 */
export async function writeDeadLetters(
  redis: Redis,
  target: DeadLetterTarget,
  letters: readonly EncodedDeadLetter[],
  isRepeated = false,
): Promise<WrittenDeadLetters> {
  const [first] = letters;
  if (first === undefined) return { outcomes: [], trimmed: 0 };
  const wideAt = letters.findIndex(({ fields }) => fields.length > maxScriptFields);
  if (wideAt === 0) return writeWithoutScript(redis, target, first);
  const { stream, group, consumer, maxLength, whenFull } = target;
  const args: (Buffer | string | number)[] = [group, consumer, maxLength, whenFull, isRepeated ? 1 : 0];
  for (const { entryId, fields } of wideAt < 0 ? letters : letters.slice(0, wideAt)) {
    args.push(entryId, fields.length, ...fields);
  }
  try {
    return parseReply(await redis.eval(writeScript, 2, deadLetterStream(stream), stream, ...args));
  } catch (error) {
    // In Redis Cluster, keys without a common hash tag are in different slots.
    if (!(error instanceof Error) || !error.message.startsWith('CROSSSLOT')) throw error;
    return writeWithoutScript(redis, target, first);
  }
}

/** One dead letter by single commands: if the connection breaks in between, a retry writes it again. */
async function writeWithoutScript(
  redis: Redis,
  { stream, group, maxLength, whenFull }: DeadLetterTarget,
  { entryId, fields }: EncodedDeadLetter,
): Promise<WrittenDeadLetters> {
  const key = deadLetterStream(stream);
  const length = await redis.xlen(key);
  if (length >= maxLength && whenFull === 'wait') return { outcomes: [], trimmed: 0 };
  if (whenFull === 'trim') await redis.xadd(key, 'MAXLEN', '=', maxLength, '*', ...fields);
  else await redis.xadd(key, '*', ...fields);
  await redis.xack(stream, group, entryId);
  return { outcomes: ['written'], trimmed: whenFull === 'trim' ? Math.max(0, length + 1 - maxLength) : 0 };
}

/** Fails closed: without a reply that says so nothing counts as written. */
function parseReply(reply: unknown): WrittenDeadLetters {
  const [trimmed, ...outcomes]: readonly unknown[] = Array.isArray(reply) ? reply : [];
  if (typeof trimmed !== 'number') throw new TypeError('Redis did not say which dead letters it has written');
  return {
    trimmed,
    outcomes: outcomes.map((outcome) => {
      if (outcome === 'written' || outcome === 'claimed') return outcome;
      throw new TypeError(`Redis answered ${String(outcome)} for a dead letter`);
    }),
  };
}
