import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Row } from '@app/shared/messages';
import type { Input } from '../src/machine.ts';
import { attemptGapMs, maxRetryMs } from '../src/timing.ts';
import { MachineDriver, otherTopic, rowAt, topic } from './support/machine-driver.ts';
import { ModelGateway, ModelSession } from './support/model-gateway.ts';
import { parseServerMessage } from '../src/server-message.ts';

const topicName = fc.constantFrom(topic, otherTopic, 'event:none');
const deviceId = fc.constantFrom('a', 'b', 'c');
const deviceIds = fc.array(deviceId, { maxLength: 3 });
const fixAtMs = fc.integer({ min: 0, max: 20 });
const row = fc.tuple(deviceId, fixAtMs).map(([id, ts]) => rowAt(id, ts));
const rows = fc.array(fc.oneof({ weight: 5, arbitrary: row }, { weight: 1, arbitrary: fc.jsonValue() }), {
  maxLength: 4,
});
const id = fc.integer({ min: 1, max: 12 });
const cursor = fc.constantFrom('c1', 'c2', 'c3');
const ms = fc.integer({ min: 0, max: 60_000 });
const code = fc.constantFrom(
  'forbidden',
  'unavailable',
  'rate-limited',
  'internal',
  'bad-bbox',
  'not-subscribed',
);

const message = fc.oneof(
  fc.record({
    type: fc.constant('subscribed'),
    topic: topicName,
    id,
    epoch: fc.constantFrom('e1', 'e2'),
    recovered: fc.boolean(),
  }),
  fc.record(
    {
      type: fc.constant('snapshot'),
      topic: topicName,
      part: fc.nat(2),
      rows,
      last: fc.constant(true),
      cursor,
    },
    { requiredKeys: ['type', 'topic', 'part', 'rows'] },
  ),
  fc.record(
    { type: fc.constant('positions'), topic: topicName, rows, cursor },
    { requiredKeys: ['type', 'topic', 'rows'] },
  ),
  fc.record({ type: fc.constant('devices'), topic: topicName, added: deviceIds, removed: deviceIds }),
  fc.record({ type: fc.constant('hidden'), topic: topicName, devices: deviceIds }),
  fc.record({ type: fc.constantFrom('resync', 'unsubscribed', 'updated'), topic: topicName }),
  fc.record({ type: fc.constant('reconnect'), afterMs: ms }),
  fc.record({ type: fc.constant('heartbeat'), cursor }),
  fc.record({ type: fc.constant('pong'), id }),
  fc.record({ type: fc.constant('error'), id, code, temporary: fc.boolean(), retryAfterMs: ms }),
  fc.record({ type: fc.constant('hello'), columns: fc.constant(['ts', 'deviceId', 'lat', 'lon']) }),
  fc.jsonValue(),
);

const closing = fc.oneof(
  fc.constantFrom(1001, 1006, 1012, 4000, 4001, 4002, 4003, 4005, 4099),
  fc.constantFrom(1000, 4400, 4403),
  fc.integer(),
);

const input: fc.Arbitrary<Input> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Input>({ type: 'open', protocol: 'live.v1' }) },
  {
    weight: 20,
    arbitrary: message.map((json): Input => ({ type: 'message', data: JSON.stringify(json) })),
  },
  { weight: 1, arbitrary: fc.string().map((data): Input => ({ type: 'message', data })) },
  { weight: 4, arbitrary: closing.map((number): Input => ({ type: 'close', code: number, reason: '' })) },
  { weight: 4, arbitrary: fc.constant<Input>({ type: 'timer' }) },
  { weight: 2, arbitrary: fc.constant<Input>({ type: 'wake' }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat(4), fc.constantFrom(200, 401, 503, undefined))
      .map(([number, status]): Input => ({ type: 'response', number, status })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Input[]>(
      { type: 'update', view: { maxHz: 1 } },
      { type: 'update', view: { bbox: [0, 0, 1, 1] } },
    ),
  },
);

/** An input after a delay, or exactly at `timerAtMs`. */
const step = fc.record({ input, afterMs: fc.oneof(fc.nat(200), ms), isAtTimer: fc.boolean() });

function fixTimes(driver: MachineDriver, name: string): ReadonlyMap<string, number> {
  const held = driver.machine.topics.get(name)?.positions ?? new Map<string, { ts: number }>();
  return new Map([...held].map(([device, { ts }]) => [device, ts]));
}

/** Whether devices may go back in time: part 0 of a snapshot replaces all positions. */
function mayGoBack(given: Input): boolean {
  const received = given.type === 'message' ? parseServerMessage(given.data) : undefined;
  return received?.type === 'snapshot' && received.part === 0;
}

test('for any server messages: no exception, valid use of the socket, no device goes back in time', () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 10, maxLength: 80 }),
      fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 10 }),
      (steps, draws) => {
        let drawCount = 0;
        const driver = new MachineDriver({
          topics: [topic, otherTopic],
          sessionRequests: ['checkSession', 'refreshSession'],
          random: () => draws[(drawCount += 1) % draws.length] ?? 0,
        });
        let hasSocket = false;
        let hasEnded = false;
        const dispatch = (given: Input): void => {
          const before = [topic, otherTopic].map((name) => fixTimes(driver, name));
          if (given.type === 'close') hasSocket = false;
          const actions = driver.dispatch(given);
          if (hasEnded) expect(actions).toEqual([]);
          for (const action of actions) {
            if (action.type === 'connect') {
              expect(hasSocket).toBe(false);
              hasSocket = true;
            }
            if (action.type === 'send') expect(hasSocket).toBe(true);
            if (action.type === 'disconnect') {
              expect(hasSocket).toBe(true);
              hasSocket = false;
            }
            if (action.type === 'state') hasEnded = action.ending !== undefined;
          }
          // A timer is always set until the end.
          expect(driver.machine.timerAtMs === Infinity).toBe(hasEnded);
          if (mayGoBack(given)) return;
          for (const [at, name] of [topic, otherTopic].entries()) {
            for (const [device, ts] of fixTimes(driver, name)) {
              expect(ts).toBeGreaterThanOrEqual(before[at]?.get(device) ?? 0);
            }
          }
        };
        dispatch({ type: 'start' });
        for (const { input: given, afterMs, isAtTimer } of steps) {
          if ((given.type === 'open' || given.type === 'close') && !hasSocket) continue;
          driver.nowMs += isAtTimer && driver.timerInMs < Infinity ? driver.timerInMs : afterMs;
          dispatch(given);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('for any closed connections: attempts never stop and keep the retry delay', () => {
  const ending = fc.record({
    opens: fc.boolean(),
    lastsMs: fc.nat(20_000),
    code: fc.constantFrom(1001, 1006, 1012, 1013, 4000, 4001, 4002, 4003, 4005, 4050),
    reconnectAfterMs: fc.option(fc.nat(60_000)),
    wakesAfterMs: fc.option(fc.nat(20_000)),
  });
  fc.assert(
    fc.property(
      fc.array(ending, { minLength: 1, maxLength: 30 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (endings, draw) => {
        const driver = new MachineDriver({ random: () => draw });
        driver.dispatch({ type: 'start' });
        let failures = 0;
        for (const { opens, lastsMs, code: closeCode, reconnectAfterMs, wakesAfterMs } of endings) {
          const attemptAtMs = driver.nowMs;
          let notBeforeMs = 0;
          if (opens) {
            driver.open();
            if (reconnectAfterMs !== null) {
              driver.receive({ type: 'reconnect', afterMs: reconnectAfterMs });
              notBeforeMs = driver.nowMs + reconnectAfterMs;
            }
          }
          driver.nowMs += opens ? lastsMs : Math.min(lastsMs, 9_000);
          if (opens && lastsMs >= 10_000) failures = 0;
          const closedAtMs = driver.nowMs;
          driver.close(closeCode);
          if (closeCode === 4005) notBeforeMs = Math.max(notBeforeMs, closedAtMs + 5_000);
          const limitMs = Math.min(maxRetryMs, 1_000 * 2 ** failures);
          failures += 1;
          const dueAtMs = driver.machine.timerAtMs;
          expect(dueAtMs).toBeGreaterThanOrEqual(notBeforeMs);
          expect(dueAtMs).toBeCloseTo(Math.max(closedAtMs + draw * limitMs, notBeforeMs), 3);
          if (wakesAfterMs === null || closedAtMs + wakesAfterMs >= dueAtMs) {
            driver.runTimer();
          } else {
            driver.after(wakesAfterMs, { type: 'wake' });
            if (!driver.actionTypes.includes('connect')) driver.runTimer();
            expect(driver.nowMs).toBeGreaterThanOrEqual(Math.min(dueAtMs, attemptAtMs + attemptGapMs));
            expect(driver.nowMs).toBeLessThanOrEqual(dueAtMs);
          }
          expect(driver.actionTypes).toEqual(['connect']);
          expect(driver.nowMs).toBeGreaterThanOrEqual(notBeforeMs);
        }
      },
    ),
    { numRuns: 500 },
  );
});

type Bbox = readonly [number, number, number, number];
const boxes: readonly (Bbox | null)[] = [[0, 40, 10, 50], [10, 40, 20, 50], null];

/** Events between a client and a gateway that follows the protocol. */
const event = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ type: fc.constant('publish' as const), deviceId, fixAtMs, lon: fc.nat(20) }),
  },
  { weight: 8, arbitrary: fc.record({ type: fc.constant('flush' as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('remove' as const), deviceId }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('add' as const), deviceId }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('publishOlder' as const), deviceId, fixAtMs }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('view' as const), box: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('disconnect' as const) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('connect' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('epoch' as const, 'resync' as const) }) },
);

test('at rest the client has exactly the positions of the gateway, after any disconnects, resumes, snapshots and views', () => {
  fc.assert(
    fc.property(
      fc.array(event, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 3 }),
      (events, chunkRows) => {
        const gateway = new ModelGateway();
        gateway.chunkRows = chunkRows;
        gateway.addDevices(topic, 'a', 'b', 'c');
        const driver = new MachineDriver();
        let session: ModelSession | undefined;
        let box: Bbox | null = null;
        const deliver = (): void => {
          for (const sent of driver.sent) session?.receive(JSON.stringify(sent));
        };
        const connect = (): void => {
          if (session !== undefined) return;
          if (driver.machine.timerAtMs === Infinity) driver.dispatch({ type: 'start' });
          else driver.runTimer();
          expect(driver.actionTypes).toEqual(['connect']);
          driver.open();
          const requests = driver.sent;
          const replies: string[] = [];
          session = new ModelSession(gateway, (data) => {
            driver.dispatch({ type: 'message', data });
            // Delivered after the server has sent its own messages.
            replies.push(...driver.sent.map((sent) => JSON.stringify(sent)));
          });
          for (const sent of requests) session.receive(JSON.stringify(sent));
          for (const data of replies) session.receive(data);
        };
        const disconnect = (): void => {
          if (session === undefined) return;
          session.close();
          session = undefined;
          driver.close(1006);
        };
        for (const next of events) {
          switch (next.type) {
            case 'publish':
              gateway.publish(topic, rowAt(next.deviceId, next.fixAtMs, next.lon));
              break;
            case 'flush':
              session?.flush();
              break;
            case 'remove':
              gateway.removeDevice(topic, next.deviceId);
              break;
            case 'add':
              gateway.addDevices(topic, next.deviceId);
              break;
            case 'publishOlder':
              gateway.publishOlder(topic, rowAt(next.deviceId, next.fixAtMs));
              break;
            case 'view':
              box = boxes[next.box] ?? null;
              driver.after(500, { type: 'update', view: { bbox: box } });
              deliver();
              break;
            case 'disconnect':
              disconnect();
              break;
            case 'connect':
              connect();
              break;
            case 'epoch':
              gateway.changeEpoch();
              disconnect();
              break;
            case 'resync':
              session?.resync(topic);
          }
        }
        connect();
        while (session?.flush() === true) continue;
        const expected = gateway.rowsOf(topic, box ?? undefined);
        expect(fixTimes(driver, topic)).toEqual(new Map(expected.map((each: Row) => [each[0], each[3]])));
      },
    ),
    { numRuns: 1_000 },
  );
});
