import { encodeFields } from '@app/shared/entry';
import { eventually } from '@app/test-kit/eventually';
import { startTraceReceiver } from '@app/test-kit/trace-receiver';
import { expect, test } from 'vitest';
import { deviceAt, fixOf, openFixture } from './support/open-fixture.ts';
import { connect } from './support/viewer.ts';

test('stream batches and Directus calls are traced, without ids of events, users or devices', async () => {
  await using fixture = await openFixture();
  await using receiver = await startTraceReceiver();
  const { eventId, devices } = await fixture.addEvent(1);
  const device = deviceAt(devices);
  const gateway = await fixture.start({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, TRACE_SAMPLE_RATIO: '1' },
  });
  await gateway.ready();
  const { session, userId } = fixture.addViewer(eventId);
  using viewer = await connect(gateway.wsUrl, { session });
  viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
  await viewer.next('subscribed');
  const link = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
  await fixture.redis.xadd(
    fixture.stream,
    '*',
    ...encodeFields({ position: fixOf(device), codec: '8E' }),
    'traceparent',
    `00-${link.traceId}-${link.spanId}-01`,
  );
  await viewer.next('position');

  const spanNamed = (name: string) => receiver.spans.find((span) => span.name === name);
  const applied = await eventually(() => receiver.spans.find(({ links }) => links.length > 0), {
    timeoutMs: 15_000,
  });
  expect(applied).toMatchObject({
    service: 'live-gateway',
    name: `apply ${fixture.stream}`,
    kind: 5, // CONSUMER
    links: [link],
  });
  await eventually(() => spanNamed('GET /items/events/:id'), { timeoutMs: 15_000 });
  expect(spanNamed('GET /users/me')).toMatchObject({ kind: 3, isFailed: false }); // CLIENT
  const spans = JSON.stringify(receiver.spans.map((span) => [span.name, [...span.attributes]]));
  for (const secret of [eventId, userId, session, device.imei]) expect(spans).not.toContain(secret);
  expect(await gateway.stop()).toBe(0);
});
