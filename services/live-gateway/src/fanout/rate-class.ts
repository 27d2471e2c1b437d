/**
 * A rate class is the number of times the tick rate is halved: with ticks of 125 ms class 0 is 8 Hz and class 4 is
 * 0.5 Hz. There are few classes, so that many clients share a frame.
 */
const slowestClass = 4;
const defaultHz = 4;

/** The fastest class that does not exceed `maxHz`, or the slowest class. */
export function rateClassFor(maxHz: number | undefined, tickMs: number): number {
  const tickHz = 1000 / tickMs;
  let rateClass = 0;
  while (rateClass < slowestClass && tickHz / 2 ** rateClass > (maxHz ?? defaultHz)) rateClass += 1;
  return rateClass;
}

/** Whether a rate class is flushed in a tick. The phase and the class spread the flushes over the ticks. */
export function isDue(tick: number, phase: number, rateClass: number): boolean {
  return (tick + phase + rateClass) % 2 ** rateClass === 0;
}

/** An event's tick phase: 0 to 15, the same in every process. */
export function eventPhase(eventId: string): number {
  let hash = 0;
  for (let n = 0; n < eventId.length; n += 1) hash = (hash * 31 + eventId.charCodeAt(n)) | 0;
  return (hash >>> 0) % 2 ** slowestClass;
}
