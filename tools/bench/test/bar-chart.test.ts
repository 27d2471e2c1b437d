import { expect, test } from 'vitest';
import { barChart } from '../src/bar-chart.ts';

const chart = {
  title: 'a < b & "c"',
  unit: 'ms',
  digits: 1,
  parts: ['p50', 'p99'],
  bars: [
    { label: 'slow', values: [100, 300] },
    { label: 'fast', values: [0, 30] },
  ],
};

function widths(svg: string): number[] {
  return Array.from(svg.matchAll(/width="([\d.]+)" height="16"/gu), ([, width]) => Number(width));
}

test('grouped bars are proportional to their values and labelled', () => {
  const svg = barChart({ ...chart, arrangement: 'grouped' });
  const [slow = 0, longest = 0, none, short = 0] = widths(svg);
  expect(longest).toBe(385);
  expect([slow / longest, none, short / longest]).toEqual([expect.closeTo(1 / 3), 0, expect.closeTo(0.1)]);
  for (const number of ['100.0 ms', '300.0 ms', '0.0 ms', '30.0 ms']) expect(svg).toContain(`>${number}<`);
});

test('stacked parts lie end to end with their sum', () => {
  const svg = barChart({ ...chart, arrangement: 'stacked' });
  expect(widths(svg).reduce((sum, width) => sum + width, 0)).toBeCloseTo(385 * (430 / 400), 0);
  expect(svg).toContain('>400.0 ms<');
});

test('the goal is on the same scale, even beyond all bars', () => {
  const svg = barChart({ ...chart, arrangement: 'grouped', goal: { value: 600, label: 'goal' } });
  expect(widths(svg)[1]).toBe(192.5);
  expect(svg).toContain('x1="635"');
});

test('labels are escaped', () => {
  const svg = barChart({ ...chart, arrangement: 'grouped' });
  expect(svg).toContain('>a &lt; b &amp; "c"<'.replaceAll('"', '&quot;'));
  expect(svg).not.toContain('a < b');
});
