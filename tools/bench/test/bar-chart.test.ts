import { expect, test } from 'vitest';
import { barChart } from '../src/bar-chart.ts';

const bars = [
  { label: 'a < b & "c"', value: 300 },
  { label: 'fast', value: 30 },
];

test('bars are proportional to their values and labelled', () => {
  const svg = barChart({ title: 'latency', unit: 'ms', bars });
  const widths = Array.from(svg.matchAll(/width="(\d+)" height="20"/gu), ([, width]) => Number(width));
  expect(widths).toEqual([385, 39]);
  expect(svg).toContain('>300 ms<');
  expect(svg).toContain('>a &lt; b &amp; &quot;c&quot;<');
});

test('the goal is on the same scale, even beyond all bars', () => {
  expect(barChart({ title: 'latency', unit: 'ms', bars, goal: 600 })).toContain('x1="635"');
});
