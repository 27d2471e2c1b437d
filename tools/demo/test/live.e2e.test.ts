import { once } from 'node:events';
import { feed } from '@app/fleet-sim/feed';
import { race, raceImeis, type RaceOptions } from '@app/fleet-sim/race';
import { eventTopic } from '@app/shared/topics';
import { logIn } from '@app/spectator/log-in';
import { eventually } from '@app/test-kit/eventually';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { countOutcome } from '../src/outcome.ts';
import { Spectator } from '../src/spectator.ts';
import { openSystem, type OpenSystem } from './support/open-system.ts';

const { signal } = new AbortController();
const vehicles = 10;
const imeis = raceImeis({ seed: 5, vehicles });

let open: OpenSystem;
let cookie: string;

beforeAll(async () => {
  open = await openSystem({ imeis });
  cookie = await logIn(open.system.directus.url, open.system.visitor);
});

afterAll(async () => {
  await open[Symbol.asyncDispose]();
});

const enter = () => {
  const { liveUrl: url, origin, event } = open.system;
  return Spectator.connect({ url, origin, cookie, topic: event.topic }, signal);
};

/** Without tracker trouble: every fix is valid and the newest of its vehicle. */
const quiet = {
  seed: 5,
  vehicles,
  startIntervalMs: 0,
  trouble: { holeChance: 0, blindChance: 0, rebootChance: 0, panicChance: 0 },
};

const send = async (options: Pick<RaceOptions, 'startAtMs' | 'durationMs'>) => {
  const { redis, system } = open;
  const sendings = race({ ...quiet, ...options });
  await feed({ redis, stream: system.stream, records: sendings, signal, speed: Infinity });
};

const newestMs = (spectator: Spectator): ReadonlyMap<string, number> =>
  new Map([...spectator.newest].map(([imei, { ts }]) => [imei, ts]));

const allAt = (fixAtMs: number): ReadonlyMap<string, number> => new Map(imeis.map((imei) => [imei, fixAtMs]));

const untilAllAt = (spectator: Spectator, fixAtMs: number, timeoutMs: number) =>
  eventually(
    () => {
      expect(newestMs(spectator)).toEqual(allAt(fixAtMs));
      return true;
    },
    { timeoutMs },
  );

test('a client gets a snapshot of the newest positions and then live ones within a second', async () => {
  const nowMs = Math.floor(Date.now() / 1_000) * 1_000;
  await send({ startAtMs: nowMs - 60_000, durationMs: 30_000 });
  // The gateway reads the stream at its own pace: once one client has it all, the next one's snapshot has.
  await using first = await enter();
  await untilAllAt(first, nowMs - 31_000, 10_000);
  await using spectator = await enter();
  expect(newestMs(spectator)).toEqual(allAt(nowMs - 31_000));

  await send({ startAtMs: nowMs - 30_000, durationMs: 20_000 });
  await untilAllAt(spectator, nowMs - 11_000, 1_000);
  expect(spectator.received).toBeGreaterThanOrEqual(vehicles);
});

test('a client sees the vehicles where the stream has them', async () => {
  await using spectator = await enter();
  const { sql } = open;
  await eventually(async () => {
    const rows = await sql<{ device_id: string; latitude: number; longitude: number; speed: number }[]>`
      select distinct on (device_id) device_id, latitude, longitude, speed from positions order by device_id, ts desc`;
    expect(
      rows.map(({ device_id: imei, latitude, longitude, speed }) => [imei, latitude, longitude, speed]),
    ).toEqual(
      [...spectator.newest.values()]
        .map(({ deviceId, lat, lon, speed }) => [deviceId, lat, lon, speed])
        .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    );
    return rows.length === vehicles;
  });
});

test('a gateway with an empty stream shows the positions of the database', async () => {
  const nowMs = Math.floor(Date.now() / 1_000) * 1_000;
  await using own = await openSystem({ imeis });
  const { system, redis } = own;
  const sendings = race({ ...quiet, startAtMs: nowMs - 60_000, durationMs: 30_000 });
  const { counts } = await feed({ redis, stream: system.stream, records: sendings, signal, speed: Infinity });
  await countOutcome(system, counts, 10_000);
  await redis.xtrim(system.stream, 'MAXLEN', 0);
  await system.restartGateway();

  const { liveUrl: url, origin, event, directus, visitor } = system;
  const ownCookie = await logIn(directus.url, visitor);
  await using spectator = await Spectator.connect(
    { url, origin, cookie: ownCookie, topic: event.topic },
    signal,
  );
  expect(newestMs(spectator)).toEqual(allAt(nowMs - 31_000));
});

async function statusOfUpgrade(headers: Record<string, string>): Promise<number | undefined> {
  const socket = new WebSocket(open.system.liveUrl, { headers });
  const refused = once(socket, 'unexpected-response');
  socket.on('error', () => undefined); // What terminate() calls a connection that it cuts before it was open.
  const [request, response]: { destroy?: () => void; statusCode?: number }[] = await refused;
  request?.destroy?.();
  return response?.statusCode;
}

test('without a cookie the upgrade is answered 401', async () => {
  expect(await statusOfUpgrade({ origin: open.system.origin })).toBe(401);
});

test('with an unknown cookie the upgrade is answered 401', async () => {
  const foreign = 'directus_session_token=not-a-session';
  expect(await statusOfUpgrade({ origin: open.system.origin, cookie: foreign })).toBe(401);
});

test('from a foreign page the upgrade is answered 403, before Directus is asked', async () => {
  const askedBefore = open.system.directus.calls.length;
  expect(await statusOfUpgrade({ origin: 'https://elsewhere.example.org', cookie })).toBe(403);
  expect(open.system.directus.calls.length).toBe(askedBefore);
});

/** The reply to a subscription. */
async function subscribe(topic: string): Promise<unknown> {
  const message = { type: 'subscribe', topic, id: 'mine' };
  const socket = new WebSocket(open.system.liveUrl, { headers: { cookie, origin: open.system.origin } });
  try {
    await once(socket, 'open');
    const replied = new Promise((resolve) => {
      socket.on('message', (data) => {
        const reply: { id?: unknown } = JSON.parse(Buffer.isBuffer(data) ? data.toString() : '{}');
        if (reply.id === message.id) resolve(reply);
      });
    });
    socket.send(JSON.stringify(message));
    return await replied;
  } finally {
    socket.terminate();
  }
}

test('an event that the visitor may not see is refused exactly like one that does not exist', async () => {
  const topic = eventTopic('0b5a2b7e-6a5d-4a5f-9d0c-1f2e3d4c5b6a');
  const reply = await subscribe(topic);
  expect(reply).toMatchObject({ type: 'error', id: 'mine', code: 'forbidden', temporary: false });
});

const eventsAskedFor = (): readonly string[] =>
  open.system.directus.calls.map(({ path }) => path).filter((path) => path !== '/users/me');

test.for(['..%2f..%2fusers%2fme', '../../users/me', '%2e', '.', ''])(
  'the event id "%s" is refused before any request',
  async (eventId) => {
    const before = eventsAskedFor();
    const reply = await subscribe(`event:${eventId}`);
    expect(reply).toMatchObject({ type: 'error', id: 'mine', code: 'unknown-topic' });
    expect(eventsAskedFor()).toEqual(before);
  },
);
