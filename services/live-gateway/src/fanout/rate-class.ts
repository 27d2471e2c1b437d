/**
 * How often a subscription is flushed, as a number of halvings of the tick's rate: with ticks of 125 ms class 0 is
 * 8 Hz, 4 is 0.5 Hz. Few classes, so that many clients share one frame.
 */
const slowestClass = 4;
const defaultHz = 4;

/** The fastest class that is not above `maxHz`; the slowest if all are. */
export function rateClassFor(maxHz: number | undefined, tickMs: number): number {
  const tickHz = 1000 / tickMs;
  let rateClass = 0;
  while (rateClass < slowestClass && tickHz / 2 ** rateClass > (maxHz ?? defaultHz)) rateClass += 1;
  return rateClass;
}

/**
 * Whether a class of an event is flushed in a tick. Events and classes have different phases: if all were flushed in the
 * same tick, seven of eight ticks would be idle and the eighth late.
 */
export function isDue(tick: number, phase: number, rateClass: number): boolean {
  return (tick + phase + rateClass) % 2 ** rateClass === 0;
}

/** An event's tick phase, 0 to 15, the same in every process. */
export function eventPhase(eventId: string): number {
  let hash = 0;
  for (let at = 0; at < eventId.length; at += 1) hash = (hash * 31 + eventId.charCodeAt(at)) | 0;
  return (hash >>> 0) % 2 ** slowestClass;
}
