import { Counter, Gauge, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { readMetric } from '../src/read-metric.ts';

const registry = new Registry();
const registers = [registry];
const reads = new Counter({ name: 'reads_total', help: 'x', labelNames: ['stream', 'result'], registers });
reads.inc({ stream: 'a:b', result: 'empty' }, 2);
reads.inc({ stream: 'c', result: 'empty' }, 3);
reads.inc({ stream: 'c', result: 'error' });
const lag = new Gauge({ name: 'lag', help: 'x', labelNames: ['stream'], registers });
const unmoved = new Gauge({ name: 'unmoved', help: 'x', labelNames: ['stream'], registers });
lag.set({ stream: 'a' }, Number.NaN);
unmoved.reset();
const exposition = await registry.metrics();

test('the series with all the labels are summed', () => {
  expect(readMetric(exposition, 'reads_total')).toBe(6);
  expect(readMetric(exposition, 'reads_total', { result: 'empty' })).toBe(5);
  expect(readMetric(exposition, 'reads_total', { stream: 'a:b', result: 'empty' })).toBe(2);
});

test('a series that is NaN differs from a missing one', () => {
  expect(readMetric(exposition, 'lag')).toBeNaN();
  expect(readMetric(exposition, 'unmoved')).toBeUndefined();
  expect(readMetric(exposition, 'reads')).toBeUndefined();
  expect(readMetric(exposition, 'reads_total', { result: 'none' })).toBeUndefined();
});
