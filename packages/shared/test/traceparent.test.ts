import { expect, test } from 'vitest';
import { sampledTraceOf } from '../src/traceparent.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const bytes = (...fields: readonly string[]): Uint8Array[] =>
  fields.map((field) => new TextEncoder().encode(field));

test('a sampled traceparent links to the span that sent the entry', () => {
  const fields = bytes('ts', 'x', 'traceparent', `00-${traceId}-${spanId}-01`, 'payload', '{}');
  expect(sampledTraceOf(fields)).toEqual({ traceId, spanId });
});

test('a later version may have more fields', () => {
  expect(sampledTraceOf(bytes('traceparent', `cc-${traceId}-${spanId}-09-and-more`))).toEqual({
    traceId,
    spanId,
  });
});

test.for([
  ['no traceparent', []],
  ['a trace that is not sampled', ['traceparent', `00-${traceId}-${spanId}-00`]],
  ['a zero trace id', ['traceparent', `00-${'0'.repeat(32)}-${spanId}-01`]],
  ['a zero span id', ['traceparent', `00-${traceId}-${'0'.repeat(16)}-01`]],
  ['upper case', ['traceparent', `00-${traceId.toUpperCase()}-${spanId}-01`]],
  ['an invalid version', ['traceparent', `ff-${traceId}-${spanId}-01`]],
  ['extra fields in version 00', ['traceparent', `00-${traceId}-${spanId}-01-x`]],
  ['missing flags', ['traceparent', `00-${traceId}-${spanId}`]],
  ['a field name without a value', ['traceparent']],
  ['a value equal to the field name', ['payload', 'traceparent']],
  ['a value over the limit', ['traceparent', `cc-${traceId}-${spanId}-01-${'x'.repeat(100_000)}`]],
] as const)('%s is ignored', ([, fields]) => {
  expect(sampledTraceOf(bytes(...fields))).toBeUndefined();
});

test('bytes that are not UTF-8 are ignored', () => {
  const [name] = bytes('traceparent');
  expect(sampledTraceOf([name ?? new Uint8Array(), new Uint8Array(55).fill(0xff)])).toBeUndefined();
});
