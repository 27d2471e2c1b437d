import { startPgBouncer } from '@app/test-kit/pgbouncer';
import { expect, test } from 'vitest';
import { deviceAt, fixOf, openFixture } from './support/open-fixture.ts';
import { connect } from './support/viewer.ts';

test('behind PgBouncer in transaction mode a gateway serves stored and live positions', async () => {
  await using fixture = await openFixture();
  await using pooler = await startPgBouncer({
    target: fixture.postgresUrl,
    poolMode: 'transaction',
    settings: { default_pool_size: '1' },
  });
  const { eventId, devices } = await fixture.addEvent(2);
  await fixture.store(fixOf(deviceAt(devices, 0)));
  const gateway = await fixture.start({ postgresUrl: pooler.url });
  await gateway.ready();
  using viewer = await connect(gateway.wsUrl, { session: fixture.addViewer(eventId).session });
  viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
  const { snapshot } = await viewer.next('subscribed');
  expect(snapshot.map(({ deviceId }) => deviceId)).toEqual([deviceAt(devices, 0).imei]);
  expect(await gateway.stop()).toBe(0);
  expect(gateway.log.filter(({ level }) => ['error', 'fatal'].includes(String(level)))).toEqual([]);
});
