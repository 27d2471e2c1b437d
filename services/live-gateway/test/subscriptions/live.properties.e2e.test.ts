import type { Bbox } from '@app/shared/messages';
import { subprotocol } from '@app/shared/protocol';
import { chosenSeed } from '@app/test-kit/chosen-seed';
import { eventually } from '@app/test-kit/eventually';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { isInside } from '../../src/fanout/bbox.ts';
import { ModelViewer } from '../support/model-viewer.ts';
import { fixOf, openFixture } from '../support/open-fixture.ts';
import type { TestDevice, Fixture } from '../support/open-fixture.ts';
import { testOrigin } from '../support/start-gateway.ts';

const boxes: readonly (Bbox | undefined)[] = [undefined, [0, 0, 5, 90], [3, 0, 9, 90], [8, 0, 2, 90]];
const viewerCount = 4;
const deviceCount = 5;
const who = fc.nat(viewerCount - 1);
const device = fc.nat(deviceCount - 1);
const view = { maxHz: fc.constantFrom(20, 5), box: fc.nat(boxes.length - 1) };

const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('move' as const),
      device,
      isLate: fc.boolean(),
      longitude: fc.nat(9),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('connect' as const), who, gateway: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drop' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('stall' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('read on' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('view' as const), who, ...view }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('assign' as const), device, isIn: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('faulty' as const), device }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('let it work' as const), ms: fc.nat(150) }) },
);

/** What becomes of a viewer over real sockets; what it holds and complains about is the model's. */
class SocketViewer {
  readonly model: ModelViewer;
  readonly #topic: string;
  readonly #session: string;
  #socket: WebSocket | undefined;

  constructor(eventId: string, session: string, maxHz: number, bbox: Bbox | undefined) {
    this.model = new ModelViewer({ eventId, dialect: 'batched', maxHz, bbox });
    this.#topic = `event:${eventId}`;
    this.#session = session;
  }

  get isConnected(): boolean {
    return this.#socket !== undefined;
  }

  connect(wsUrl: string): void {
    if (this.#socket !== undefined) return;
    const socket = new WebSocket(wsUrl, [subprotocol], {
      perMessageDeflate: false,
      headers: { origin: testOrigin, cookie: `directus_session_token=${this.#session}` },
    });
    this.#socket = socket;
    this.model.begin();
    const subscribe = (): void => {
      if (this.#socket !== socket || socket.readyState !== socket.OPEN) return;
      const { maxHz, bbox, resumePoint } = this.model;
      const wish = { type: 'subscribe', id: 's', topic: this.#topic, maxHz, bbox, ...resumePoint };
      socket.send(JSON.stringify(wish));
    };
    socket.on('open', subscribe);
    socket.on('message', (data: Buffer) => {
      // What was sent over a connection that is given up is not heard any more.
      if (this.#socket !== socket) return;
      const text = data.toString();
      this.model.hear(text);
      if (text.includes('"unavailable"')) setTimeout(subscribe, 50);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
    });
  }

  drop(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  stall(): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.pause();
  }

  readOn(): void {
    this.#socket?.resume();
  }

  look(maxHz: number, bbox: Bbox | undefined): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.model.maxHz = maxHz;
    this.model.bbox = bbox;
    this.#socket.send(
      JSON.stringify({ type: 'update', id: 'u', topic: this.#topic, maxHz, bbox: bbox ?? null }),
    );
  }
}

/** An event, what was published of its devices, and what must be seen of them in the end. */
class Race {
  readonly #world: Fixture;
  readonly eventId: string;
  readonly #devices: readonly TestDevice[];
  readonly #assigned: Set<TestDevice>;
  readonly #good = new Map<TestDevice, { ts: number; longitude: number }[]>();
  #nowMs = Date.now() - 3_600_000;

  constructor(world: Fixture, event: { eventId: string; devices: readonly TestDevice[] }) {
    this.#world = world;
    this.eventId = event.eventId;
    this.#devices = event.devices;
    this.#assigned = new Set(event.devices);
  }

  /** Onto the stream, and into the table as the processor does. */
  async move(at: number, longitude: number, isLate: boolean): Promise<void> {
    const chosen = this.#devices[at];
    if (chosen === undefined) return;
    this.#nowMs += 10;
    const ts = isLate ? this.#nowMs - 1_005 : this.#nowMs;
    const fix = fixOf(chosen, { fixAtMs: ts, latitude: 10, longitude });
    await this.#world.store(fix);
    await this.#world.publish(fix);
    this.#good.set(chosen, [...(this.#good.get(chosen) ?? []), { ts, longitude }]);
  }

  async markFaulty(at: number): Promise<void> {
    const chosen = this.#devices[at];
    const newest = chosen === undefined ? undefined : this.#newest(chosen);
    if (chosen === undefined || newest === undefined) return;
    await this.#world.sql`
      update positions set faulty = true where device_id = ${chosen.imei} and ts = ${new Date(newest.ts)}`;
    this.#good.set(
      chosen,
      (this.#good.get(chosen) ?? []).filter((fix) => fix !== newest),
    );
  }

  async assign(at: number, isIn: boolean): Promise<void> {
    const chosen = this.#devices[at];
    if (chosen === undefined || this.#assigned.has(chosen) === isIn) return;
    if (isIn) {
      await this.#world.sql`
        insert into entry_devices (entry_id, device_id)
        select id, ${chosen.id} from entries where event_id = ${this.eventId} limit 1`;
      this.#assigned.add(chosen);
    } else {
      await this.#world.sql`
        delete from entry_devices where device_id = ${chosen.id}`;
      this.#assigned.delete(chosen);
    }
  }

  seenThrough(bbox: Bbox | undefined): Readonly<Record<string, readonly [number, number]>> {
    const seen = [...this.#assigned].flatMap((each) => {
      const newest = this.#newest(each);
      if (newest === undefined || (bbox !== undefined && !isInside(bbox, 10, newest.longitude))) return [];
      return [[each.id, [newest.ts, newest.longitude]] as const];
    });
    return Object.fromEntries(seen);
  }

  #newest(of: TestDevice): { ts: number; longitude: number } | undefined {
    return (this.#good.get(of) ?? []).toSorted((a, b) => b.ts - a.ts)[0];
  }
}

test(
  'over real sockets and two gateways no client is taken back, and at rest each holds what the newest fixes say',
  { timeout: 120_000 },
  async () => {
    await using world = await openFixture();
    const gateways = await Promise.all(
      ['one', 'two'].map((instanceId) =>
        world.start({ instanceId, env: { LIVE_MESSAGE_RATE_PER_S: '1000' } }),
      ),
    );
    await Promise.all(gateways.map((gateway) => gateway.ready()));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record(view), { minLength: viewerCount, maxLength: viewerCount }),
        fc.array(step, { minLength: 40, maxLength: 60, size: 'max' }),
        async (views, history) => {
          const race = new Race(world, await world.addEvent(deviceCount));
          const viewers = views.map(({ maxHz, box }) => {
            const { session } = world.addViewer(race.eventId);
            return new SocketViewer(race.eventId, session, maxHz, boxes[box]);
          });
          const connect = (at: number, to: number): void => viewers[at]?.connect(gateways[to]?.wsUrl ?? '');
          for (const at of viewers.keys()) connect(at, at % 2);
          for (const s of history) {
            if (s.do === 'move') await race.move(s.device, s.longitude, s.isLate);
            else if (s.do === 'connect') connect(s.who, s.gateway);
            else if (s.do === 'drop') viewers[s.who]?.drop();
            else if (s.do === 'stall') viewers[s.who]?.stall();
            else if (s.do === 'read on') viewers[s.who]?.readOn();
            else if (s.do === 'view') viewers[s.who]?.look(s.maxHz, boxes[s.box]);
            else if (s.do === 'assign') await race.assign(s.device, s.isIn);
            else if (s.do === 'faulty') await race.markFaulty(s.device);
            else await new Promise((resolve) => setTimeout(resolve, s.ms));
          }
          for (const viewer of viewers) viewer.readOn();
          try {
            await eventually(
              () => {
                for (const [at, viewer] of viewers.entries())
                  if (!viewer.isConnected) connect(at, (at + 1) % 2);
                for (const { model } of viewers) {
                  expect(Object.fromEntries(model.held)).toEqual(race.seenThrough(model.bbox));
                }
                return true;
              },
              { timeoutMs: 15_000, intervalMs: 50 },
            );
            for (const { model } of viewers) expect(model.complaints).toEqual([]);
          } finally {
            for (const viewer of viewers) viewer.drop();
          }
        },
      ),
      { seed: chosenSeed('LIVE_SEED'), numRuns: 6, endOnFailure: true },
    );
    for (const gateway of gateways) expect(await gateway.metric('live_dropped_frames_total')).toBe(0);
  },
);
