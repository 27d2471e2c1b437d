import { encodeFields } from '@app/shared/entry';
import { eventually } from '@app/test-kit/eventually';
import { startTraceReceiver } from '@app/test-kit/trace-receiver';
import { expect, test } from 'vitest';
import { openFixture } from './support/open-fixture.ts';
import { cleanExit } from './support/start-processor.ts';
import { records, sendFields } from './support/telemetry.ts';

function span(n: number): string {
  return String(n).padStart(16, '0');
}

test('an insert is one span, linked to the sampled traces of its entries', async () => {
  await using receiver = await startTraceReceiver();
  await using fixture = await openFixture();
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  // Of ten entries two have a sampled trace, one has an unsampled one, the others have none.
  const flags = new Map([
    [2, '01'],
    [5, '00'],
    [7, '01'],
  ]);
  const fields = records(10).map((record, n) => {
    const flag = flags.get(n);
    const encoded = encodeFields(record);
    return flag === undefined ? encoded : encoded.concat('traceparent', `00-${traceId}-${span(n)}-${flag}`);
  });
  await sendFields(fixture.redis, fixture.stream, fields);
  const processor = await fixture.start({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, TRACE_SAMPLE_RATIO: '0' },
  });
  const [insert] = await eventually(() => (receiver.spans.length > 0 ? receiver.spans : undefined), {
    timeoutMs: 15_000,
  });
  expect(insert).toMatchObject({
    service: 'processor',
    name: `insert ${fixture.stream}`,
    kind: 5, // CONSUMER
    links: [
      { traceId, spanId: span(2) },
      { traceId, spanId: span(7) },
    ],
    isFailed: false,
  });
  expect(insert?.attributes.get('messaging.batch.message_count')).toBe(10);
  expect(await fixture.sql`select from positions`).toHaveLength(10);
  expect(await processor.stop()).toEqual(cleanExit);
  expect(receiver.spans).toHaveLength(1);
});
