import { chosenSeed } from '@app/test-kit/chosen-seed';
import { eventually } from '@app/test-kit/eventually';
import pLimit from 'p-limit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { brokenFrames } from './fuzz/broken-frames.ts';
import { Draw } from './fuzz/draw.ts';
import { mutateMessage, validMessage } from './fuzz/mutate-message.ts';
import { oddHandshake } from './fuzz/odd-handshakes.ts';
import { sendRaw } from './fuzz/raw-socket.ts';
import { fixOf, openFixture } from './support/open-fixture.ts';
import type { TestDevice, Fixture } from './support/open-fixture.ts';
import { testOrigin } from './support/start-gateway.ts';
import type { RunningGateway } from './support/start-gateway.ts';
import { connect } from './support/viewer.ts';
import type { Viewer } from './support/viewer.ts';

// It is printed with each test, so with each failure.
const seed = chosenSeed('FUZZ_SEED');

const messageCount = 85_000;
const frameCount = 5_000;
const handshakeCount = 10_000;
const messagesPerConnection = 1_700;
/** Far above what any of them takes. */
const patienceMs = 40_000;
/**
 * Who waits for an answer in vain goes on after this, until it is too long for any head of a request and any message.
 * How long the server waits where nothing more comes is what `handshake-time.test.ts` is about.
 */
const ending = { afterMs: 1_000, bytes: 'x'.repeat(100_000) };

let fixture: Fixture;
let gateway: RunningGateway;
let device: TestDevice;
let topics: [string, ...string[]];
let cookie: string;
let witness: Viewer;
let restBytes = 0;
let restFiles = 0;

beforeAll(async () => {
  fixture = await openFixture();
  const event = await fixture.addEvent(1);
  const [first] = event.devices;
  if (first === undefined) throw new Error('no device');
  device = first;
  const other = await fixture.addEvent(0);
  topics = [
    `event:${event.eventId}`,
    `event:${other.eventId}`,
    'event:0190c5de-7a5b-7000-8000-000000000001',
    'event:.',
  ];
  gateway = await fixture.start({
    env: {
      // A heap that is full after a leak of a few hundred bytes a frame ends the process, and the test with it.
      NODE_OPTIONS: '--max-old-space-size=96 --max-semi-space-size=2',
      LIVE_MESSAGE_RATE_PER_S: '1000',
      LIVE_MAX_CONNECTIONS_PER_USER: '10000',
      // Directus lives in this process, which is busy: it is asked once.
      AUTH_CACHE_TTL_MS: '600000',
      // 1,700 messages in one go have as many replies: nobody is behind for that.
      LIVE_HIGH_WATER_BYTES: '16777216',
      LIVE_UNANSWERED_BYTES: '16777216',
      // Long enough that a busy machine is not taken for a dead one.
      LIVE_WS_PING_INTERVAL_MS: '4000',
    },
  });
  await gateway.ready();
  const { session } = fixture.addViewer(event.eventId, other.eventId);
  cookie = `directus_session_token=${session}`;
  witness = await connect(gateway.wsUrl, { session });
  witness.send({ type: 'subscribe', topic: topics[0], maxHz: 20 });
  await witness.next('subscribed');
  // Warm: code compiled, buffers and caches grown to what they need.
  await sendMessages(seed, 17_000);
  await sendBrokenFrames(new Draw(seed), 500);
  await sendHandshakes(new Draw(seed), 1_000);
  await expectAtRest();
  restBytes = await gateway.metric('process_resident_memory_bytes');
  restFiles = await gateway.metric('process_open_fds');
}, 120_000);

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

const port = (): number => Number(new URL(gateway.wsUrl).port);

// All at once: what one of them waits for is no time lost for the others.
describe(`with FUZZ_SEED=${seed}`, { timeout: 120_000 }, () => {
  test.concurrent(`each of ${messageCount} mutated messages has its reply`, async () => {
    expect(await sendMessages(seed + 1_000, messageCount)).toBe(messageCount);
  });

  test.concurrent(`each of ${frameCount} broken frames has an answer or a close`, async () => {
    expect(await sendBrokenFrames(new Draw(seed + 2), frameCount)).toEqual([]);
  });

  test.concurrent(`each of ${handshakeCount} odd handshakes has an answer or a close`, async () => {
    expect(await sendHandshakes(new Draw(seed + 3), handshakeCount)).toEqual([]);
  });
});

test('afterwards the process serves as before, and has no more memory and no more files', async () => {
  await expectAtRest();
  const shown = fixOf(device);
  await fixture.publish(shown);
  await witness.next('position', ({ ts }) => ts === shown.fixAtMs);
  expect(await gateway.metric('process_open_fds')).toBeLessThanOrEqual(restFiles + 5);
  // What the allocator and V8 keep for a next time differs by some MiB; 400 bytes a frame would be 40 MiB.
  const grownBytes = (await gateway.metric('process_resident_memory_bytes')) - restBytes;
  expect(grownBytes).toBeLessThan(24 * 1024 ** 2);
  expect(gateway.log.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
});

/** Only the witness is left. */
async function expectAtRest(): Promise<void> {
  await eventually(
    async () => {
      expect(await gateway.metric('live_connections')).toBe(1);
      expect(await gateway.metric('live_subscriptions')).toBe(1);
      return true;
    },
    { timeoutMs: 20_000, intervalMs: 100 },
  );
}

/** @returns how many replies came. */
async function sendMessages(firstSeed: number, count: number): Promise<number> {
  const lanes = pLimit(4);
  const rounds = Array.from({ length: Math.ceil(count / messagesPerConnection) }, (_, round) =>
    lanes(() => {
      const draw = new Draw(firstSeed + round);
      const size = Math.min(messagesPerConnection, count - round * messagesPerConnection);
      const texts = Array.from({ length: size }, () => {
        const text = validMessage(draw, topics);
        return draw.isTrue(0.9) ? mutateMessage(draw, text) : text;
      });
      return sendOverOneConnection(texts);
    }),
  );
  return (await Promise.all(rounds)).reduce((sum, replyCount) => sum + replyCount, 0);
}

const replies = new Set(['pong', 'error', 'subscribed', 'unsubscribed', 'updated']);

async function sendOverOneConnection(texts: readonly string[]): Promise<number> {
  const socket = new WebSocket(gateway.wsUrl, {
    perMessageDeflate: false,
    headers: { origin: testOrigin, cookie },
  });
  let replyCount = 0;
  let closeCode: number | undefined;
  socket.on('message', (data) => {
    const message: { readonly type: string } = JSON.parse(Buffer.isBuffer(data) ? data.toString() : '');
    if (replies.has(message.type)) replyCount += 1;
  });
  socket.on('close', (code) => {
    closeCode = code;
  });
  socket.on('error', () => undefined);
  await new Promise((resolve) => {
    socket.once('open', resolve);
  });
  for (const text of texts) socket.send(text);
  await eventually(
    () => {
      if (closeCode !== undefined) throw new Error(`closed with ${closeCode} after ${replyCount} replies`);
      expect(replyCount).toBe(texts.length);
      return true;
    },
    { timeoutMs: 20_000 },
  );
  socket.terminate();
  return replyCount;
}

// Fewer at once than a listening socket queues (512): the kernel lets the others wait for many seconds.

/** What neither was answered nor closed, in hex. */
async function sendBrokenFrames(draw: Draw, count: number): Promise<readonly string[]> {
  const lanes = pLimit(150);
  const handshake = Buffer.from(
    `GET /ws-live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: ${testOrigin}\r\nCookie: ${cookie}\r\n\r\n`,
  );
  const outcomes = Array.from({ length: count }, () => {
    const frames = brokenFrames(draw);
    return lanes(async () => {
      let headBytes = 0;
      const { answer, isClosed } = await sendRaw(port(), {
        bytes: handshake,
        limitMs: patienceMs,
        isEnough: (so, socket) => {
          if (headBytes > 0) return so.length > headBytes;
          const end = so.indexOf('\r\n\r\n');
          if (end < 0) return false;
          headBytes = end + 4;
          socket.write(frames);
          // Not before: a busy server may take long to open.
          setTimeout(() => socket.write(ending.bytes), ending.afterMs).unref();
          return false;
        },
      });
      const isUpgraded = answer.subarray(0, 12).toString() === 'HTTP/1.1 101';
      return isUpgraded && (isClosed || answer.length > headBytes) ? [] : [frames.toString('hex')];
    });
  });
  return (await Promise.all(outcomes)).flat();
}

/** What neither was answered nor closed. */
async function sendHandshakes(draw: Draw, count: number): Promise<readonly string[]> {
  const lanes = pLimit(250);
  const outcomes = Array.from({ length: count }, () => {
    const bytes = oddHandshake(draw, { path: '/ws-live', origin: testOrigin, cookie });
    return lanes(async () => {
      const { answer, isClosed } = await sendRaw(port(), {
        bytes,
        limitMs: patienceMs,
        ending,
        isEnough: (so) => so.includes('\r\n'),
      });
      const isAnswered = /^HTTP\/1\.1 \d{3} /u.test(answer.toString('latin1'));
      return isAnswered || isClosed ? [] : [JSON.stringify(bytes.toString('latin1'))];
    });
  });
  return (await Promise.all(outcomes)).flat();
}
