import { seedEvent } from '@app/test-kit/directus-tables';
import { columns } from '@app/shared/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixOf, openFixture } from '../support/open-fixture.ts';
import type { TestDevice, Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connectBatched, tryConnect } from '../support/viewer.ts';
import type { BatchedViewer } from '../support/viewer.ts';

let fixture: Fixture;
let gateway: RunningGateway;

beforeAll(async () => {
  fixture = await openFixture();
  gateway = await fixture.start({ env: { LIVE_MESSAGE_RATE_PER_S: '100', LIVE_HEARTBEAT_MS: '1500' } });
  await gateway.ready();
});

afterAll(() => fixture[Symbol.asyncDispose]());

async function open(...eventIds: readonly string[]): Promise<BatchedViewer> {
  return connectBatched(gateway.wsUrl, { session: fixture.addViewer(...eventIds).session });
}

/** Adds an event and waits until the gateway has read its assignments and fixes. */
async function addKnownEvent(
  deviceCount: number,
): Promise<{ eventId: string; topic: string; devices: readonly TestDevice[] }> {
  const event = await fixture.addEvent(deviceCount);
  const topic = `event:${event.eventId}`;
  await expect
    .poll(
      async () => {
        using viewer = await open(event.eventId);
        viewer.send({ type: 'subscribe', topic });
        const { devices, degraded } = await viewer.next('subscribed');
        return degraded === true ? -1 : devices;
      },
      { timeout: 10_000 },
    )
    .toBe(deviceCount);
  return { ...event, topic };
}

function first<T>(list: readonly T[]): T {
  const [one] = list;
  if (one === undefined) throw new Error('the list is empty');
  return one;
}

/** Matches messages with a row of this fix time. */
function hasRowAt(fixAtMs: number): (message: { rows: readonly (readonly unknown[])[] }) => boolean {
  return ({ rows }) => rows.some((row) => row[3] === fixAtMs);
}

describe('a client of live.v1', () => {
  test('gets a hello first', async () => {
    using viewer = await open();
    expect(viewer.socket.protocol).toBe('live.v1');
    const hello = await viewer.next('hello');
    expect(viewer.messages[0]).toBe(hello);
    expect(hello).toMatchObject({
      protocol: 'live.v1',
      tickMs: 50,
      columns: [...columns],
      limits: { messageBytes: 4096, messagesPerS: 100, subscriptions: 16 },
    });
    expect(Math.abs(hello.time - Date.now())).toBeLessThan(60_000);
  });

  test('gets the snapshot with a cursor, then rows by device id and never an IMEI', async () => {
    const { eventId, topic, devices } = await addKnownEvent(2);
    const [moving, silent] = devices;
    if (moving === undefined || silent === undefined) throw new Error('no devices');
    using viewer = await open(eventId);
    viewer.send({ type: 'subscribe', topic, id: 'a', maxHz: 20 });
    const subscribed = await viewer.next('subscribed');
    expect(subscribed).toMatchObject({ topic, id: 'a', recovered: false, devices: 2 });
    const snapshot = await viewer.next('snapshot');
    expect(snapshot).toMatchObject({ part: 0, rows: [], last: true });
    expect(snapshot.cursor).toEqual(expect.any(String));
    const fix = fixOf(moving, { latitude: -33.86, longitude: 151.2, speedKmh: 0 });
    await fixture.publish(fix);
    const { rows, cursor } = await viewer.next('positions');
    expect(rows).toEqual([[moving.id, 151.2, -33.86, fix.fixAtMs, 0, 90, 512]]);
    expect(cursor).toEqual(expect.any(String));
    expect(JSON.stringify(viewer.messages)).not.toContain(moving.imei);
    using late = await open(eventId);
    late.send({ type: 'subscribe', topic });
    expect((await late.next('snapshot')).rows).toEqual(rows);
  });

  test('gets a large snapshot in numbered parts below 16 KiB, with a cursor in the last one only', async () => {
    const { eventId, topic, devices } = await addKnownEvent(1200);
    const fixAtMs = Date.now() - 10_000;
    for (const device of devices) await fixture.publish(fixOf(device, { fixAtMs }));
    await expect
      .poll(
        async () => {
          using viewer = await open(eventId);
          viewer.send({ type: 'subscribe', topic });
          await viewer.next('snapshot', ({ last }) => last === true, 10_000);
          const parts = viewer.messages.filter((message) => message.type === 'snapshot');
          expect(parts.map(({ part }) => part)).toEqual(parts.map((_, at) => at));
          expect(
            parts.slice(0, -1).every(({ cursor, last }) => cursor === undefined && last === undefined),
          ).toBe(true);
          expect(parts.at(-1)?.cursor).toEqual(expect.any(String));
          expect(viewer.longestFrame()).toBeLessThan(16_384);
          return new Set(parts.flatMap(({ rows }) => rows.map(([id]) => id))).size;
        },
        { timeout: 15_000 },
      )
      .toBe(1200);
  });

  test('gets added and removed devices before any row of theirs, and then a new cursor', async () => {
    const { eventId, topic, devices } = await addKnownEvent(1);
    const removed = first(devices);
    const other = await fixture.addEvent(1);
    const joined = first(other.devices);
    await fixture.store(fixOf(joined));
    using viewer = await open(eventId);
    viewer.send({ type: 'subscribe', topic });
    const { cursor } = await viewer.next('snapshot');
    await seedEvent(fixture.sql, { eventId, devices: [joined] });
    const added = await viewer.next('devices', (message) => message.added.includes(joined.id));
    const row = await viewer.next('positions', ({ rows }) => rows.some(([id]) => id === joined.id));
    expect(viewer.messages.indexOf(row)).toBeGreaterThan(viewer.messages.indexOf(added));
    await fixture.sql`delete from entry_devices where device_id = ${removed.id}`;
    await viewer.next('devices', (message) => message.removed.includes(removed.id));
    // Once the added device is hydrated there is a cursor again, of the new view.
    await fixture.publish(fixOf(joined));
    const next = await viewer.next('positions', (message) => message.cursor !== undefined);
    expect(next.cursor).not.toBe(cursor);
  });

  test('drops a fix that was marked faulty and gets the previous one', async () => {
    const { eventId, topic, devices } = await addKnownEvent(1);
    const device = first(devices);
    const nowMs = Date.now();
    await fixture.store(fixOf(device, { fixAtMs: nowMs - 2_000 }));
    await fixture.store(fixOf(device, { fixAtMs: nowMs - 1_000 }));
    using viewer = await open(eventId);
    viewer.send({ type: 'subscribe', topic });
    await Promise.any([
      viewer.next('snapshot', hasRowAt(nowMs - 1_000)),
      viewer.next('positions', hasRowAt(nowMs - 1_000)),
    ]);
    await fixture.sql`update positions set faulty = true where ts > ${new Date(nowMs - 1_500)} and device_id = ${device.imei}`;
    const reset = await viewer.next('devices');
    expect(reset).toMatchObject({ added: [device.id], removed: [device.id] });
    const row = await viewer.next('positions', hasRowAt(nowMs - 2_000));
    expect(viewer.messages.indexOf(row)).toBeGreaterThan(viewer.messages.indexOf(reset));
  });

  test('gets the positions inside its box, is told which devices leave it, and may move it', async () => {
    const { eventId, topic, devices } = await addKnownEvent(2);
    const [one, two] = devices;
    if (one === undefined || two === undefined) throw new Error('no devices');
    let at = Date.now() - 20_000;
    const move = async (device: TestDevice, longitude: number): Promise<number> => {
      at += 10;
      await fixture.publish(fixOf(device, { fixAtMs: at, latitude: 10, longitude }));
      return at;
    };
    using viewer = await open(eventId);
    // Across the antimeridian.
    viewer.send({ type: 'subscribe', topic, maxHz: 20, bbox: [170, 0, -170, 20] });
    await viewer.next('snapshot');
    await move(two, 0);
    const inside = await move(one, 179);
    expect((await viewer.next('positions')).rows.map(([id, , , ts]) => [id, ts])).toEqual([[one.id, inside]]);
    const across = await move(one, -179);
    expect((await viewer.next('positions')).rows.map(([id, , , ts]) => [id, ts])).toEqual([[one.id, across]]);
    await move(one, -100);
    expect(await viewer.next('hidden')).toMatchObject({ devices: [one.id] });
    viewer.send({ type: 'update', id: 'u', topic, bbox: [-1, 0, 1, 20] });
    expect(await viewer.next('updated')).toMatchObject({ id: 'u', topic });
    const shown = await viewer.next('positions');
    expect(shown.rows.map(([id]) => id)).toEqual([two.id]);
    expect(shown.cursor).toEqual(expect.any(String));
    viewer.send({ type: 'update', topic, bbox: null });
    const cleared = await viewer.next('positions');
    expect(cleared.rows.map(([id]) => id)).toEqual([one.id]);
    viewer.send({ type: 'update', topic, bbox: [2, 0, 3, 20] });
    expect(new Set((await viewer.next('hidden')).devices)).toEqual(new Set([one.id, two.id]));
    viewer.send({ type: 'update', id: 'bad', topic, bbox: [0, 5, 1, 4] });
    expect(await viewer.next('error')).toMatchObject({ id: 'bad', code: 'bad-bbox', temporary: false });
    viewer.send({ type: 'update', id: 'none', topic: `event:${'0'.repeat(8)}-0000-4000-8000-000000000000` });
    expect(await viewer.next('error')).toMatchObject({ id: 'none', code: 'not-subscribed' });
  });

  test('gets a cursor after changing its box, even if no row follows', async () => {
    const { eventId, topic } = await addKnownEvent(1);
    using viewer = await open(eventId);
    viewer.send({ type: 'subscribe', topic, maxHz: 20, bbox: [0, 0, 10, 20] });
    const { epoch } = await viewer.next('subscribed');
    const before = await viewer.next('snapshot');
    const bbox = [20, 0, 30, 20];
    viewer.send({ type: 'update', topic, bbox });
    const { rows, cursor } = await viewer.next('positions');
    expect(rows).toEqual([]);
    const resume = async (from: string | undefined): Promise<boolean> => {
      viewer.send({ type: 'unsubscribe', topic });
      await viewer.next('unsubscribed');
      viewer.send({ type: 'subscribe', topic, bbox, cursor: from, epoch });
      return (await viewer.next('subscribed')).recovered;
    };
    expect(await resume(before.cursor)).toBe(false);
    expect(await resume(cursor)).toBe(true);
  });

  test('may change its box while it is being authorised', async () => {
    const { eventId, topic, devices } = await addKnownEvent(2);
    const [inside, outside] = devices;
    if (inside === undefined || outside === undefined) throw new Error('no devices');
    for (const [device, longitude] of [
      [inside, 5],
      [outside, 50],
    ] as const) {
      await fixture.publish(fixOf(device, { fixAtMs: Date.now() - 20_000, latitude: 10, longitude }));
    }
    await expect
      .poll(async () => {
        using other = await open(eventId);
        other.send({ type: 'subscribe', topic });
        return (await other.next('snapshot')).rows.length;
      })
      .toBe(2);
    using viewer = await open(eventId);
    fixture.directus.misbehave('slow', { slowMs: 200 });
    viewer.send({ type: 'subscribe', id: 's', topic });
    viewer.send({ type: 'update', id: 'u', topic, bbox: [0, 0, 10, 20] });
    expect(await viewer.next('updated')).toMatchObject({ id: 'u' });
    expect(viewer.messages.some(({ type }) => type === 'subscribed')).toBe(false);
    expect((await viewer.next('snapshot')).rows.map(([id]) => id)).toEqual([inside.id]);
    await fixture.healDirectus();
  });

  test('gets heartbeats with a cursor while nothing else is sent', async () => {
    const { eventId, topic } = await addKnownEvent(1);
    using viewer = await open(eventId);
    viewer.send({ type: 'subscribe', topic });
    await viewer.next('snapshot');
    const heartbeat = await viewer.next('heartbeat', undefined, 10_000);
    expect(Math.abs(heartbeat.time - Date.now())).toBeLessThan(60_000);
    const { epoch } = await viewer.next('subscribed');
    viewer.send({ type: 'unsubscribe', topic });
    await viewer.next('unsubscribed');
    viewer.send({ type: 'subscribe', topic, cursor: heartbeat.cursor, epoch });
    expect((await viewer.next('subscribed')).recovered).toBe(true);
  });
});

test('with LIVE_PLAIN_DIALECT=off only clients of live.v1 are admitted', async () => {
  const strict = await fixture.start({ instanceId: 'strict', env: { LIVE_PLAIN_DIALECT: 'off' } });
  const { session } = fixture.addViewer();
  expect(await tryConnect(strict.wsUrl, { session })).toMatchObject({ status: 400 });
  using viewer = await connectBatched(strict.wsUrl, { session });
  await viewer.next('hello');
  expect(await strict.metric('live_upgrades_total', { result: 'plain_dialect' })).toBe(1);
});
