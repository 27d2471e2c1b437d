import { expect, test } from 'vitest';
import { sumMetric } from '../src/read-metrics.ts';

const text = `# HELP writes_total Rows.
# TYPE writes_total counter
writes_total{stream="a",status="inserted"} 12
writes_total{stream="b",status="inserted"} 30
writes_total{stream="a",status="duplicate"} 2
writes_total_other 9
lag NaN
pending 1.5e3`;

test('samples are summed over the labels that were not asked for', () => {
  expect(sumMetric(text, 'writes_total', { status: 'inserted' })).toBe(42);
  expect(sumMetric(text, 'writes_total', { status: 'duplicate', stream: 'a' })).toBe(2);
  expect(sumMetric(text, 'writes_total')).toBe(44);
  expect(sumMetric(text, 'pending')).toBe(1_500);
});

test('what is not there is undefined, what is not known is NaN', () => {
  expect(sumMetric(text, 'writes_total', { status: 'rejected' })).toBeUndefined();
  expect(sumMetric(text, 'writes')).toBeUndefined();
  expect(sumMetric(text, 'lag')).toBeNaN();
});
