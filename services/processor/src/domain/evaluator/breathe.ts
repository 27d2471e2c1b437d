import { setImmediate as nextIteration } from 'node:timers/promises';

/** Storing runs in the same thread, and must not wait longer than this. */
const sliceMs = 8;

/** Lets everything else of the process run after each slice of time. To be called between pieces of work that are shorter. */
export function createBreathing(): () => Promise<void> {
  let sinceMs = performance.now();
  return async () => {
    if (performance.now() - sinceMs < sliceMs) return;
    await nextIteration();
    sinceMs = performance.now();
  };
}
