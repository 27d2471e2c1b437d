import { redisErrorCode } from '../stream/redis-error.ts';

/** The dead-letter stream is full, or the error of an attempt to write. */
export type WriteFailure = 'full' | { readonly error: unknown };

/** Why dead letters wait, and what to do. */
export function explainWait(
  failure: WriteFailure,
  key: string,
): { readonly reason: string; readonly remedy: string; readonly level: 'warn' | 'error' } {
  if (failure === 'full') {
    return {
      reason: `${key} has DLQ_MAX_LENGTH entries`,
      remedy: 'replay or purge dead letters with ./run dlq, or raise DLQ_MAX_LENGTH',
      level: 'error',
    };
  }
  const code = redisErrorCode(failure.error);
  switch (code) {
    case undefined:
      return { reason: 'Redis does not answer', remedy: 'retrying', level: 'warn' };
    case 'OOM':
      return {
        reason: 'Redis is at maxmemory (OOM)',
        remedy: 'give Redis more memory, or delete keys that are not needed',
        level: 'error',
      };
    case 'MISCONF':
      return {
        reason: 'Redis cannot write to its disk (MISCONF)',
        remedy: 'free or replace the disk of Redis',
        level: 'error',
      };
    default:
      return {
        reason: `Redis refuses to write ${key} (${code})`,
        remedy: 'retrying; the error says what is wrong',
        level: 'error',
      };
  }
}
