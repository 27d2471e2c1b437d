import { chosenSeed } from '@app/test-kit/chosen-seed';
import { eventually } from '@app/test-kit/eventually';
import pLimit from 'p-limit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { invalidFrames } from './fuzz/invalid-frames.ts';
import { SeededRandom } from './fuzz/seeded-random.ts';
import { mutateMessage, validMessage } from './fuzz/mutate-message.ts';
import { mutatedHandshake } from './fuzz/mutated-handshake.ts';
import { sendRaw } from './fuzz/raw-socket.ts';
import { deviceAt, fixOf, openFixture } from './support/open-fixture.ts';
import type { TestDevice, Fixture } from './support/open-fixture.ts';
import { testOrigin } from './support/start-gateway.ts';
import type { RunningGateway } from './support/start-gateway.ts';
import { connect } from './support/viewer.ts';
import type { Viewer } from './support/viewer.ts';

const seed = chosenSeed('FUZZ_SEED');

const messageCount = 85_000;
const frameCount = 5_000;
const handshakeCount = 10_000;
const messagesPerConnection = 1_700;
/** Far longer than any response takes. */
const responseLimitMs = 40_000;
/**
 * Sent if there is no response: more bytes than any request head or message may have, so that the server need not wait
 * for the rest. `handshake-time.test.ts` tests incomplete requests.
 */
const padding = { afterMs: 1_000, bytes: 'x'.repeat(100_000) };

let fixture: Fixture;
let gateway: RunningGateway;
let device: TestDevice;
let topics: [string, ...string[]];
let cookie: string;
/** A connected viewer that must not be affected. */
let viewer: Viewer;
let idleBytes = 0;
let idleFiles = 0;

beforeAll(async () => {
  fixture = await openFixture();
  const event = await fixture.addEvent(1);
  device = deviceAt(event.devices);
  const other = await fixture.addEvent(0);
  topics = [
    `event:${event.eventId}`,
    `event:${other.eventId}`,
    'event:0190c5de-7a5b-7000-8000-000000000001',
    'event:.',
  ];
  gateway = await fixture.start({
    env: {
      // Small, so that a leak of a few hundred bytes per frame ends the process and fails the test.
      NODE_OPTIONS: '--max-old-space-size=96 --max-semi-space-size=2',
      LIVE_MESSAGE_RATE_PER_S: '1000',
      LIVE_MAX_CONNECTIONS_PER_USER: '10000',
      // One call to Directus, whose stand-in runs in this busy process.
      AUTH_CACHE_TTL_MS: '600000',
      // A client that sends 1,700 messages at once must not count as lagging because of their replies.
      LIVE_HIGH_WATER_BYTES: '16777216',
      LIVE_UNANSWERED_BYTES: '16777216',
      // Long enough for a busy machine to answer.
      LIVE_WS_PING_INTERVAL_MS: '4000',
    },
  });
  await gateway.ready();
  const { session } = fixture.addViewer(event.eventId, other.eventId);
  cookie = `directus_session_token=${session}`;
  viewer = await connect(gateway.wsUrl, { session });
  viewer.send({ type: 'subscribe', topic: topics[0], maxHz: 20 });
  await viewer.next('subscribed');
  // Warm-up: compiles code and fills buffers and caches before memory is measured.
  await sendMessages(seed, 17_000);
  await sendInvalidFrames(new SeededRandom(seed), 500);
  await sendHandshakes(new SeededRandom(seed), 1_000);
  await waitUntilIdle();
  idleBytes = await gateway.metric('process_resident_memory_bytes');
  idleFiles = await gateway.metric('process_open_fds');
}, 120_000);

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

const port = (): number => Number(new URL(gateway.wsUrl).port);

// Concurrent, since each mostly waits.
describe(`with FUZZ_SEED=${seed}`, { timeout: 120_000 }, () => {
  test.concurrent(`each of ${messageCount} mutated messages gets a reply`, async () => {
    expect(await sendMessages(seed + 1_000, messageCount)).toBe(messageCount);
  });

  test.concurrent(`each of ${frameCount} invalid frames gets a response or a close`, async () => {
    expect(await sendInvalidFrames(new SeededRandom(seed + 2), frameCount)).toEqual([]);
  });

  test.concurrent(`each of ${handshakeCount} mutated handshakes gets a response or a close`, async () => {
    expect(await sendHandshakes(new SeededRandom(seed + 3), handshakeCount)).toEqual([]);
  });
});

test('after fuzzing the gateway serves as before, without more memory or open files', async () => {
  await waitUntilIdle();
  const fix = fixOf(device);
  await fixture.publish(fix);
  await viewer.next('position', ({ ts }) => ts === fix.fixAtMs);
  expect(await gateway.metric('process_open_fds')).toBeLessThanOrEqual(idleFiles + 5);
  // The allocator and V8 retain some MiB; a leak of 400 bytes per frame would be 40 MiB.
  const growthBytes = (await gateway.metric('process_resident_memory_bytes')) - idleBytes;
  expect(growthBytes).toBeLessThan(24 * 1024 ** 2);
  expect(gateway.log.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
});

/** Waits until only the viewer is connected. */
async function waitUntilIdle(): Promise<void> {
  await eventually(
    async () => {
      expect(await gateway.metric('live_connections')).toBe(1);
      expect(await gateway.metric('live_subscriptions')).toBe(1);
      return true;
    },
    { timeoutMs: 20_000, intervalMs: 100 },
  );
}

/** @returns the number of replies. */
async function sendMessages(firstSeed: number, count: number): Promise<number> {
  const limit = pLimit(4);
  const connections = Array.from({ length: Math.ceil(count / messagesPerConnection) }, (_, n) =>
    limit(() => {
      const random = new SeededRandom(firstSeed + n);
      const size = Math.min(messagesPerConnection, count - n * messagesPerConnection);
      const messages = Array.from({ length: size }, () => {
        const message = validMessage(random, topics);
        return random.isTrue(0.9) ? mutateMessage(random, message) : message;
      });
      return sendOverOneConnection(messages);
    }),
  );
  return (await Promise.all(connections)).reduce((sum, replyCount) => sum + replyCount, 0);
}

const replyTypes = new Set(['pong', 'error', 'subscribed', 'results', 'unsubscribed', 'updated']);

async function sendOverOneConnection(messages: readonly string[]): Promise<number> {
  const socket = new WebSocket(gateway.wsUrl, {
    perMessageDeflate: false,
    headers: { origin: testOrigin, cookie },
  });
  let replyCount = 0;
  let closeCode: number | undefined;
  socket.on('message', (data) => {
    const message: { readonly type: string } = JSON.parse(Buffer.isBuffer(data) ? data.toString() : '');
    if (replyTypes.has(message.type)) replyCount += 1;
  });
  socket.on('close', (code) => {
    closeCode = code;
  });
  socket.on('error', () => undefined);
  await new Promise((resolve) => {
    socket.once('open', resolve);
  });
  for (const message of messages) socket.send(message);
  await eventually(
    () => {
      if (closeCode !== undefined) throw new Error(`closed with ${closeCode} after ${replyCount} replies`);
      expect(replyCount).toBe(messages.length);
      return true;
    },
    { timeoutMs: 20_000 },
  );
  socket.terminate();
  return replyCount;
}

// Concurrency below the listen backlog (512): above it the kernel delays connections for seconds.

/** @returns the frames that got neither a response nor a close, in hex. */
async function sendInvalidFrames(random: SeededRandom, count: number): Promise<readonly string[]> {
  const limit = pLimit(150);
  const handshake = Buffer.from(
    `GET /ws-live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: ${testOrigin}\r\nCookie: ${cookie}\r\n\r\n`,
  );
  const outcomes = Array.from({ length: count }, () => {
    const frames = invalidFrames(random);
    return limit(async () => {
      let headBytes = 0;
      const { received, isClosed } = await sendRaw(port(), {
        bytes: handshake,
        limitMs: responseLimitMs,
        isComplete: (soFar, socket) => {
          if (headBytes > 0) return soFar.length > headBytes;
          const end = soFar.indexOf('\r\n\r\n');
          if (end < 0) return false;
          headBytes = end + 4;
          socket.write(frames);
          // Only now: a busy server may take long to answer the handshake.
          setTimeout(() => socket.write(padding.bytes), padding.afterMs).unref();
          return false;
        },
      });
      const isUpgraded = received.subarray(0, 12).toString() === 'HTTP/1.1 101';
      return isUpgraded && (isClosed || received.length > headBytes) ? [] : [frames.toString('hex')];
    });
  });
  return (await Promise.all(outcomes)).flat();
}

/** @returns the requests that got neither a response nor a close. */
async function sendHandshakes(random: SeededRandom, count: number): Promise<readonly string[]> {
  const limit = pLimit(250);
  const outcomes = Array.from({ length: count }, () => {
    const bytes = mutatedHandshake(random, { path: '/ws-live', origin: testOrigin, cookie });
    return limit(async () => {
      const { received, isClosed } = await sendRaw(port(), {
        bytes,
        limitMs: responseLimitMs,
        padding,
        isComplete: (soFar) => soFar.includes('\r\n'),
      });
      const isAnswered = /^HTTP\/1\.1 \d{3} /u.test(received.toString('latin1'));
      return isAnswered || isClosed ? [] : [JSON.stringify(bytes.toString('latin1'))];
    });
  });
  return (await Promise.all(outcomes)).flat();
}
