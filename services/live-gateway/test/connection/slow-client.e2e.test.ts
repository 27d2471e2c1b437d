import { afterAll, beforeAll, expect, test } from 'vitest';
import { fixOf, openFixture } from '../support/open-fixture.ts';
import type { TestDevice, Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connectBatched } from '../support/viewer.ts';
import type { BatchedViewer } from '../support/viewer.ts';

const lagLimitMs = 2_000;
const unansweredBytes = 65_536;
const deviceCount = 100;

let world: Fixture;
let gateway: RunningGateway;
let eventId: string;
let devices: readonly TestDevice[];
let fixAtMs = Date.now() - 600_000;

beforeAll(async () => {
  world = await openFixture();
  ({ eventId, devices } = await world.addEvent(deviceCount));
  gateway = await world.start({
    env: {
      LIVE_LAG_LIMIT_MS: String(lagLimitMs),
      LIVE_UNANSWERED_BYTES: String(unansweredBytes),
      LIVE_MESSAGE_RATE_PER_S: '1000',
    },
  });
  await gateway.ready();
});

afterAll(() => world[Symbol.asyncDispose]());

async function watch(): Promise<BatchedViewer> {
  const viewer = await connectBatched(gateway.wsUrl, { session: world.addViewer(eventId).session });
  viewer.send({ type: 'subscribe', topic: `event:${eventId}`, maxHz: 20 });
  await viewer.next('snapshot', ({ last }) => last === true);
  return viewer;
}

/** All devices move; resolves to their fix time. */
async function moveAll(): Promise<number> {
  fixAtMs += 1_000;
  await Promise.all(devices.map((device) => world.publish(fixOf(device, { fixAtMs }))));
  return fixAtMs;
}

/** Waits until the viewer has the newest position of every device. */
async function follows(viewer: BatchedViewer, ts: number): Promise<void> {
  await expect
    .poll(() => newestOf(viewer).filter((newest) => newest === ts).length, { timeout: 10_000, interval: 5 })
    .toBe(deviceCount);
}

function newestOf(viewer: BatchedViewer): readonly unknown[] {
  const held = new Map<unknown, unknown>();
  for (const message of viewer.messages) {
    if (message.type !== 'positions' && message.type !== 'snapshot') continue;
    for (const [deviceId, , , ts] of message.rows) held.set(deviceId, ts);
  }
  return [...held.values()];
}

function bytesOf(messages: readonly object[]): number {
  return messages.reduce((bytes, message) => bytes + JSON.stringify(message).length, 0);
}

test('a reader that stalls is sent a bounded number of bytes and then cut, and nobody else waits for it', async () => {
  using healthy = await watch();
  using stalled = await watch();
  const before = stalled.messages.length;
  stalled.socket.pause();
  let rounds = 0;
  const isCut = async (): Promise<boolean> =>
    (await gateway.metric('live_closes_total', { code: '4002' })) > 0;
  let wasLagging = false;
  while (!(await isCut()) && rounds < 200) {
    const startedAtMs = performance.now();
    await follows(healthy, await moveAll());
    // Far below the time for which the gateway waits for the stalled one.
    expect(performance.now() - startedAtMs).toBeLessThan(lagLimitMs);
    wasLagging ||= (await gateway.metric('live_lagging_connections')) === 1;
    rounds += 1;
  }
  expect(rounds).toBeGreaterThan(8);
  expect(await isCut()).toBe(true);
  expect(wasLagging).toBe(true);
  stalled.socket.resume();
  await stalled.closed();
  const sentBytes = bytesOf(stalled.messages.slice(before));
  expect(sentBytes).toBeGreaterThan(unansweredBytes / 2);
  expect(sentBytes).toBeLessThanOrEqual(unansweredBytes + 16_384);
  expect(bytesOf(healthy.messages)).toBeGreaterThan(sentBytes * 2);
  expect(await gateway.metric('live_dropped_frames_total')).toBe(0);
});

test('a reader that was slow gets the newest positions when it reads on, and not those it missed', async () => {
  using healthy = await watch();
  using slow = await watch();
  const before = slow.messages.length;
  slow.socket.pause();
  let rounds = 0;
  let ts = fixAtMs;
  // Behind, and by more than all that it will be sent later.
  while (rounds < 12 || (await gateway.metric('live_lagging_connections')) === 0) {
    ts = await moveAll();
    await follows(healthy, ts);
    rounds += 1;
    if (rounds > 14) break;
  }
  slow.socket.resume();
  await follows(slow, ts);
  const rows = slow.messages
    .slice(before)
    .flatMap((message) => (message.type === 'positions' ? message.rows : []));
  expect(rows.length).toBeLessThan(rounds * deviceCount);
  const seen = new Map<unknown, number>();
  for (const [deviceId, , , at] of rows) {
    expect(at).toBeGreaterThan(seen.get(deviceId) ?? 0);
    seen.set(deviceId, at);
  }
  // In step again: what comes now comes with the others'.
  await follows(slow, await moveAll());
});

test('replies that are owed to a client that does not read are bounded', async () => {
  using greedy = await connectBatched(gateway.wsUrl, { session: world.addViewer(eventId).session });
  await greedy.next('hello');
  greedy.socket.pause();
  const tooSlow = (): Promise<number> => gateway.metric('live_closes_total', { code: '4002' });
  const before = await tooSlow();
  // Fewer than what is too many messages, and their answers more than may be unanswered and wait.
  for (let n = 0; n < 1_200; n += 1) greedy.send({ type: 'ping', id: 'x'.repeat(64) });
  await expect.poll(tooSlow, { timeout: lagLimitMs - 500 }).toBe(before + 1);
});
