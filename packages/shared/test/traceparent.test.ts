import { expect, test } from 'vitest';
import { sampledTraceOf } from '../src/traceparent.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const bytes = (...fields: readonly string[]): Uint8Array[] =>
  fields.map((field) => new TextEncoder().encode(field));

test('an entry sent under a trace that is recorded names the span that sent it', () => {
  const fields = bytes('ts', 'x', 'traceparent', `00-${traceId}-${spanId}-01`, 'payload', '{}');
  expect(sampledTraceOf(fields)).toEqual({ traceId, spanId });
});

test('a later version may say more', () => {
  expect(sampledTraceOf(bytes('traceparent', `cc-${traceId}-${spanId}-09-and-more`))).toEqual({
    traceId,
    spanId,
  });
});

test.for([
  ['none', []],
  ['one that is not recorded', ['traceparent', `00-${traceId}-${spanId}-00`]],
  ['no trace', ['traceparent', `00-${'0'.repeat(32)}-${spanId}-01`]],
  ['no span', ['traceparent', `00-${traceId}-${'0'.repeat(16)}-01`]],
  ['capitals', ['traceparent', `00-${traceId.toUpperCase()}-${spanId}-01`]],
  ['a version that cannot be', ['traceparent', `ff-${traceId}-${spanId}-01`]],
  ['more than version 00 has', ['traceparent', `00-${traceId}-${spanId}-01-x`]],
  ['less', ['traceparent', `00-${traceId}-${spanId}`]],
  ['a name without a value', ['traceparent']],
  ['a value of that name', ['payload', 'traceparent']],
  ['a very long value', ['traceparent', `cc-${traceId}-${spanId}-01-${'x'.repeat(100_000)}`]],
] as const)('%s is no trace', ([, fields]) => {
  expect(sampledTraceOf(bytes(...fields))).toBeUndefined();
});

test('bytes that are no text are no trace', () => {
  const [name] = bytes('traceparent');
  expect(sampledTraceOf([name ?? new Uint8Array(), new Uint8Array(55).fill(0xff)])).toBeUndefined();
});
