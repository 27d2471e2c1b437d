import { expect, test } from 'vitest';
import { benchTiming } from '../../src/timing/bench-timing.ts';

test('every interval of analytic and recorded tracks is measured', async () => {
  const { results, section } = await benchTiming.run(true, () => undefined);
  expect(section).not.toMatch(/NaN|undefined|\[object|\?/u);
  for (const intervalS of [2, 5, 10, 20, 30]) {
    const row = { intervalS, crossings: expect.any(Number), maxMs: expect.any(Number) };
    expect(results).toMatchObject({ recorded: expect.arrayContaining([expect.objectContaining(row)]) });
  }
  for (const intervalS of [0.2, 0.5, 1, 2, 5, 10, 20, 30]) {
    expect(section.match(new RegExp(`^\\| ${String(intervalS)} \\|`, 'gmu'))?.length).toBeGreaterThanOrEqual(
      2,
    );
  }
});
