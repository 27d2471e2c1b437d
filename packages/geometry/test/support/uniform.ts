import * as fc from 'fast-check';

/** Numbers of a range, evenly and its ends often. `fc.double` takes bit patterns evenly, so that nearly all are nearly 0. */
export function uniform(min: number, max: number): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: 2 ** 40 }).map((share) => min + (share / 2 ** 40) * (max - min));
}
