import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fixOf, openFixture } from '../support/open-fixture.ts';
import type { TestDevice, Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connectBatched, shownFixTimes } from '../support/viewer.ts';
import type { BatchedViewer } from '../support/viewer.ts';

const unansweredBytes = 65_536;
const deviceCount = 100;

let fixture: Fixture;
let gateway: RunningGateway;
let eventId: string;
let devices: readonly TestDevice[];
let fixAtMs = Date.now() - 600_000;

beforeAll(async () => {
  fixture = await openFixture();
  ({ eventId, devices } = await fixture.addEvent(deviceCount));
  gateway = await fixture.start({
    env: {
      LIVE_LAG_LIMIT_MS: '2000',
      LIVE_UNANSWERED_BYTES: String(unansweredBytes),
      LIVE_MESSAGE_RATE_PER_S: '1000',
    },
  });
  await gateway.ready();
});

afterAll(() => fixture[Symbol.asyncDispose]());

async function watch(): Promise<BatchedViewer> {
  const viewer = await connectBatched(gateway.wsUrl, { session: fixture.addViewer(eventId).session });
  viewer.send({ type: 'subscribe', topic: `event:${eventId}`, maxHz: 20 });
  await viewer.next('snapshot', ({ last }) => last === true);
  return viewer;
}

/** Publishes a fix of every device; resolves to its fix time. */
async function moveAll(): Promise<number> {
  fixAtMs += 1_000;
  await Promise.all(devices.map((device) => fixture.publish(fixOf(device, { fixAtMs }))));
  return fixAtMs;
}

/** Waits until the viewer has been sent this fix of every device. */
async function waitForFix(viewer: BatchedViewer, ts: number): Promise<void> {
  await expect
    .poll(() => [...shownFixTimes(viewer).values()].filter((fixTime) => fixTime === ts).length, {
      timeout: 10_000,
      interval: 5,
    })
    .toBe(deviceCount);
}

function bytesOf(messages: readonly object[]): number {
  return messages.reduce((bytes, message) => bytes + JSON.stringify(message).length, 0);
}

test('a stalled client is sent a bounded number of bytes and closed, and delays no other client', async () => {
  using healthy = await watch();
  using stalled = await watch();
  const before = stalled.messages.length;
  stalled.socket.pause();
  let rounds = 0;
  const isClosed = async (): Promise<boolean> =>
    (await gateway.metric('live_closes_total', { code: '4002' })) > 0;
  let wasLagging = false;
  while (!(await isClosed()) && rounds < 200) {
    await waitForFix(healthy, await moveAll());
    wasLagging ||= (await gateway.metric('live_lagging_connections')) === 1;
    rounds += 1;
  }
  // The healthy client received this many rounds before the stalled one was closed.
  expect(rounds).toBeGreaterThan(8);
  expect(await isClosed()).toBe(true);
  expect(wasLagging).toBe(true);
  stalled.socket.resume();
  await stalled.closed();
  const sentBytes = bytesOf(stalled.messages.slice(before));
  expect(sentBytes).toBeGreaterThan(unansweredBytes / 2);
  expect(sentBytes).toBeLessThanOrEqual(unansweredBytes + 16_384);
  expect(bytesOf(healthy.messages)).toBeGreaterThan(sentBytes * 2);
  expect(await gateway.metric('live_dropped_frames_total')).toBe(0);
});

test('a slow client that reads again gets the newest positions, not the missed ones', async () => {
  using healthy = await watch();
  using slow = await watch();
  const before = slow.messages.length;
  slow.socket.pause();
  let rounds = 0;
  let ts = fixAtMs;
  // Until the client is lagging by more fixes than it is sent later.
  while (rounds < 12 || (await gateway.metric('live_lagging_connections')) === 0) {
    ts = await moveAll();
    await waitForFix(healthy, ts);
    rounds += 1;
    if (rounds > 14) break;
  }
  slow.socket.resume();
  await waitForFix(slow, ts);
  const rows = slow.messages
    .slice(before)
    .flatMap((message) => (message.type === 'positions' ? message.rows : []));
  expect(rows.length).toBeLessThan(rounds * deviceCount);
  const lastFixTimes = new Map<string, number>();
  for (const [deviceId, , , fixTime] of rows) {
    expect(fixTime).toBeGreaterThan(lastFixTimes.get(deviceId) ?? 0);
    lastFixTimes.set(deviceId, fixTime);
  }
  // Live again.
  await waitForFix(slow, await moveAll());
});

test('a client that does not read is closed when too many replies are queued', async () => {
  using stalled = await connectBatched(gateway.wsUrl, { session: fixture.addViewer(eventId).session });
  await stalled.next('hello');
  const closed = once(stalled.socket, 'close');
  stalled.socket.pause();
  const closesTooSlow = (): Promise<number> => gateway.metric('live_closes_total', { code: '4002' });
  const before = await closesTooSlow();
  // Below the message rate limit; the replies exceed the unanswered-bytes limit and the reply queue.
  for (let n = 0; n < 1_200; n += 1) stalled.send({ type: 'ping', id: 'x'.repeat(64) });
  await expect.poll(closesTooSlow, { timeout: 10_000 }).toBe(before + 1);
  stalled.socket.resume();
  const [code, reason] = await closed;
  expect([code, String(reason)]).toEqual([4002, 'too many unread replies']);
});
