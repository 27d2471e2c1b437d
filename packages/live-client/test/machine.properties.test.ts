import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Row } from '@app/shared/messages';
import type { Input } from '../src/machine.ts';
import { attemptGapMs, longestRetryMs } from '../src/timing.ts';
import { Lead, otherTopic, rowAt, topic } from './support/lead-machine.ts';
import { ModelGateway, ModelSession } from './support/model-gateway.ts';
import { readServerMessage } from '../src/server-message.ts';

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
  { weight: 8, arbitrary: fc.constant<Input>({ is: 'opened', protocol: 'live.v1' }) },
  {
    weight: 20,
    arbitrary: message.map((json): Input => ({ is: 'heard', text: JSON.stringify(json) })),
  },
  { weight: 1, arbitrary: fc.string().map((text): Input => ({ is: 'heard', text })) },
  { weight: 4, arbitrary: closing.map((number): Input => ({ is: 'closed', code: number, reason: '' })) },
  { weight: 4, arbitrary: fc.constant<Input>({ is: 'due' }) },
  { weight: 2, arbitrary: fc.constant<Input>({ is: 'woken' }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat(4), fc.constantFrom(200, 401, 503, undefined))
      .map(([number, status]): Input => ({ is: 'answered', number, status })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Input[]>(
      { is: 'viewed', view: { maxHz: 1 } },
      { is: 'viewed', view: { bbox: [0, 0, 1, 1] } },
    ),
  },
);

/** An input after some time; with `due` exactly when it was asked for. */
const step = fc.record({ input, afterMs: fc.oneof(fc.nat(200), ms), isOnTime: fc.boolean() });

function heldIn(lead: Lead, name: string): ReadonlyMap<string, number> {
  const held = lead.machine.topics.get(name)?.held ?? new Map<string, { ts: number }>();
  return new Map([...held].map(([device, { ts }]) => [device, ts]));
}

/** Only part 0 of a snapshot may: it replaces what is held. */
function mayStepBack(given: Input): boolean {
  const said = given.is === 'heard' ? readServerMessage(given.text) : undefined;
  return said?.type === 'snapshot' && said.part === 0;
}

test('whatever a server says, in whatever order: nothing is thrown, the socket is used as sockets can be, no device steps back', () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 10, maxLength: 80 }),
      fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 10 }),
      (steps, draws) => {
        let drawn = 0;
        const lead = new Lead({
          topics: [topic, otherTopic],
          canAsk: ['checkSession', 'refreshSession'],
          random: () => draws[(drawn += 1) % draws.length] ?? 0,
        });
        let hasSocket = false;
        let isOver = false;
        const tell = (given: Input): void => {
          const before = [topic, otherTopic].map((name) => heldIn(lead, name));
          if (given.is === 'closed') hasSocket = false;
          const actions = lead.tell(given);
          if (isOver) expect(actions).toEqual([]);
          for (const action of actions) {
            if (action.do === 'open') {
              expect(hasSocket).toBe(false);
              hasSocket = true;
            }
            if (action.do === 'send') expect(hasSocket).toBe(true);
            if (action.do === 'drop') {
              expect(hasSocket).toBe(true);
              hasSocket = false;
            }
            if (action.do === 'state') isOver = action.ending !== undefined;
          }
          // It always waits for something of its own, unless it is over.
          expect(lead.machine.dueAtMs === Infinity).toBe(isOver);
          if (mayStepBack(given)) return;
          for (const [at, name] of [topic, otherTopic].entries()) {
            for (const [device, ts] of heldIn(lead, name)) {
              expect(ts).toBeGreaterThanOrEqual(before[at]?.get(device) ?? 0);
            }
          }
        };
        tell({ is: 'started' });
        for (const { input: given, afterMs, isOnTime } of steps) {
          if ((given.is === 'opened' || given.is === 'closed') && !hasSocket) continue;
          lead.nowMs += isOnTime && lead.waitMs < Infinity ? lead.waitMs : afterMs;
          tell(given);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('however connections end, attempts keep their distance and are never given up', () => {
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
        const lead = new Lead({ random: () => draw });
        lead.tell({ is: 'started' });
        let failures = 0;
        for (const { opens, lastsMs, code: closeCode, reconnectAfterMs, wakesAfterMs } of endings) {
          const attemptAtMs = lead.nowMs;
          let notBeforeMs = 0;
          if (opens) {
            lead.open();
            if (reconnectAfterMs !== null) {
              lead.hear({ type: 'reconnect', afterMs: reconnectAfterMs });
              notBeforeMs = lead.nowMs + reconnectAfterMs;
            }
          }
          lead.nowMs += opens ? lastsMs : Math.min(lastsMs, 9_000);
          if (opens && lastsMs >= 10_000) failures = 0;
          const closedAtMs = lead.nowMs;
          lead.close(closeCode);
          if (closeCode === 4005) notBeforeMs = Math.max(notBeforeMs, closedAtMs + 5_000);
          const limitMs = Math.min(longestRetryMs, 1_000 * 2 ** failures);
          failures += 1;
          const dueAtMs = lead.machine.dueAtMs;
          expect(dueAtMs).toBeGreaterThanOrEqual(notBeforeMs);
          expect(dueAtMs).toBeCloseTo(Math.max(closedAtMs + draw * limitMs, notBeforeMs), 3);
          if (wakesAfterMs === null || closedAtMs + wakesAfterMs >= dueAtMs) {
            lead.untilDue();
          } else {
            lead.after(wakesAfterMs, { is: 'woken' });
            if (!lead.done.includes('open')) lead.untilDue();
            expect(lead.nowMs).toBeGreaterThanOrEqual(Math.min(dueAtMs, attemptAtMs + attemptGapMs));
            expect(lead.nowMs).toBeLessThanOrEqual(dueAtMs);
          }
          expect(lead.done).toEqual(['open']);
          expect(lead.nowMs).toBeGreaterThanOrEqual(notBeforeMs);
        }
      },
    ),
    { numRuns: 500 },
  );
});

type Bbox = readonly [number, number, number, number];
const boxes: readonly (Bbox | null)[] = [[0, 40, 10, 50], [10, 40, 20, 50], null];

/** What can happen between a client and a gateway that keeps the protocol. */
const happening = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ what: fc.constant('publish' as const), deviceId, fixAtMs, lon: fc.nat(20) }),
  },
  { weight: 8, arbitrary: fc.record({ what: fc.constant('flush' as const) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('remove' as const), deviceId }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('add' as const), deviceId }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('goBack' as const), deviceId, fixAtMs }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('view' as const), box: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('cut' as const) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('come' as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('epoch' as const, 'resync' as const) }) },
);

test('at rest the client holds exactly what the gateway holds, over cuts, resumes, snapshots and other views', () => {
  fc.assert(
    fc.property(
      fc.array(happening, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 3 }),
      (story, chunkRows) => {
        const gateway = new ModelGateway();
        gateway.chunkRows = chunkRows;
        gateway.addDevices(topic, 'a', 'b', 'c');
        const lead = new Lead();
        let session: ModelSession | undefined;
        let box: Bbox | null = null;
        const toServer = (): void => {
          for (const sent of lead.sent) session?.hear(JSON.stringify(sent));
        };
        const come = (): void => {
          if (session !== undefined) return;
          if (lead.machine.dueAtMs === Infinity) lead.tell({ is: 'started' });
          else lead.untilDue();
          expect(lead.done).toEqual(['open']);
          lead.open();
          const subscribing = lead.sent;
          const fromServer: string[] = [];
          session = new ModelSession(gateway, (text) => {
            lead.tell({ is: 'heard', text });
            // What the client answers at once is heard after what the server is saying.
            fromServer.push(...lead.sent.map((sent) => JSON.stringify(sent)));
          });
          for (const sent of subscribing) session.hear(JSON.stringify(sent));
          for (const text of fromServer) session.hear(text);
        };
        const cut = (): void => {
          if (session === undefined) return;
          session.close();
          session = undefined;
          lead.close(1006);
        };
        for (const happens of story) {
          switch (happens.what) {
            case 'publish':
              gateway.publish(topic, rowAt(happens.deviceId, happens.fixAtMs, happens.lon));
              break;
            case 'flush':
              session?.flush();
              break;
            case 'remove':
              gateway.removeDevice(topic, happens.deviceId);
              break;
            case 'add':
              gateway.addDevices(topic, happens.deviceId);
              break;
            case 'goBack':
              gateway.goBack(topic, rowAt(happens.deviceId, happens.fixAtMs));
              break;
            case 'view':
              box = boxes[happens.box] ?? null;
              lead.after(500, { is: 'viewed', view: { bbox: box } });
              toServer();
              break;
            case 'cut':
              cut();
              break;
            case 'come':
              come();
              break;
            case 'epoch':
              gateway.changeEpoch();
              cut();
              break;
            case 'resync':
              session?.resync(topic);
          }
        }
        come();
        while (session?.flush() === true) continue;
        const expected = gateway.rowsOf(topic, box ?? undefined);
        expect(heldIn(lead, topic)).toEqual(new Map(expected.map((each: Row) => [each[0], each[3]])));
      },
    ),
    { numRuns: 1_000 },
  );
});
