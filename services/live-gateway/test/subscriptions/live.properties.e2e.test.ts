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
const viewerIndex = fc.nat(viewerCount - 1);
const device = fc.nat(deviceCount - 1);
const view = { maxHz: fc.constantFrom(20, 5), box: fc.nat(boxes.length - 1) };

const anyStep = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant('move' as const),
      device,
      isLate: fc.boolean(),
      longitude: fc.nat(9),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('connect' as const), viewer: viewerIndex, gateway: fc.nat(1) }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('disconnect' as const), viewer: viewerIndex }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('stall' as const), viewer: viewerIndex }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('resume reading' as const), viewer: viewerIndex }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('change view' as const), viewer: viewerIndex, ...view }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('assign' as const), device, isAssigned: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('mark faulty' as const), device }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('pause' as const), ms: fc.nat(150) }) },
);

/** A `ModelViewer` over a real socket. */
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
    this.model.noteConnected();
    const subscribe = (): void => {
      if (this.#socket !== socket || socket.readyState !== socket.OPEN) return;
      const { maxHz, bbox, resumePoint } = this.model;
      const request = { type: 'subscribe', id: 's', topic: this.#topic, maxHz, bbox, ...resumePoint };
      socket.send(JSON.stringify(request));
    };
    socket.on('open', subscribe);
    socket.on('message', (data: Buffer) => {
      // Messages of an earlier connection are ignored.
      if (this.#socket !== socket) return;
      const text = data.toString();
      this.model.receive(text);
      if (text.includes('"unavailable"')) setTimeout(subscribe, 50);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
    });
  }

  disconnect(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  stall(): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket?.resume();
  }

  changeView(maxHz: number, bbox: Bbox | undefined): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.model.maxHz = maxHz;
    this.model.bbox = bbox;
    this.#socket.send(
      JSON.stringify({ type: 'update', id: 'u', topic: this.#topic, maxHz, bbox: bbox ?? null }),
    );
  }
}

/** An event, the fixes published of its devices, and what viewers must show in the end. */
class TestEvent {
  readonly #fixture: Fixture;
  readonly eventId: string;
  readonly #devices: readonly TestDevice[];
  readonly #assigned: Set<TestDevice>;
  readonly #validFixes = new Map<TestDevice, { ts: number; longitude: number }[]>();
  #nowMs = Date.now() - 3_600_000;

  constructor(fixture: Fixture, event: { eventId: string; devices: readonly TestDevice[] }) {
    this.#fixture = fixture;
    this.eventId = event.eventId;
    this.#devices = event.devices;
    this.#assigned = new Set(event.devices);
  }

  /** Stores a fix as the processor does, and adds it to the stream. */
  async move(at: number, longitude: number, isLate: boolean): Promise<void> {
    const chosen = this.#devices[at];
    if (chosen === undefined) return;
    this.#nowMs += 10;
    const ts = isLate ? this.#nowMs - 1_005 : this.#nowMs;
    const fix = fixOf(chosen, { fixAtMs: ts, latitude: 10, longitude });
    await this.#fixture.store(fix);
    await this.#fixture.publish(fix);
    this.#validFixes.set(chosen, [...(this.#validFixes.get(chosen) ?? []), { ts, longitude }]);
  }

  async markFaulty(at: number): Promise<void> {
    const chosen = this.#devices[at];
    const newest = chosen === undefined ? undefined : this.#newest(chosen);
    if (chosen === undefined || newest === undefined) return;
    await this.#fixture.sql`
      update positions set faulty = true where device_id = ${chosen.imei} and ts = ${new Date(newest.ts)}`;
    this.#validFixes.set(
      chosen,
      (this.#validFixes.get(chosen) ?? []).filter((fix) => fix !== newest),
    );
  }

  async assign(at: number, isAssigned: boolean): Promise<void> {
    const chosen = this.#devices[at];
    if (chosen === undefined || this.#assigned.has(chosen) === isAssigned) return;
    if (isAssigned) {
      await this.#fixture.sql`
        insert into entry_devices (id, entry_id, device_id)
        select gen_random_uuid(), id, ${chosen.id} from entries where event_id = ${this.eventId} limit 1`;
      this.#assigned.add(chosen);
    } else {
      await this.#fixture.sql`
        delete from entry_devices where device_id = ${chosen.id}`;
      this.#assigned.delete(chosen);
    }
  }

  expectedPositions(bbox: Bbox | undefined): Readonly<Record<string, readonly [number, number]>> {
    const expected = [...this.#assigned].flatMap((each) => {
      const newest = this.#newest(each);
      if (newest === undefined || (bbox !== undefined && !isInside(bbox, 10, newest.longitude))) return [];
      return [[each.id, [newest.ts, newest.longitude]] as const];
    });
    return Object.fromEntries(expected);
  }

  #newest(of: TestDevice): { ts: number; longitude: number } | undefined {
    return (this.#validFixes.get(of) ?? []).toSorted((a, b) => b.ts - a.ts)[0];
  }
}

test(
  'over real sockets and two gateways no client goes back in time, and at rest each has the newest fixes',
  { timeout: 120_000 },
  async () => {
    await using fixture = await openFixture();
    const gateways = await Promise.all(
      ['one', 'two'].map((instanceId) =>
        fixture.start({ instanceId, env: { LIVE_MESSAGE_RATE_PER_S: '1000' } }),
      ),
    );
    await Promise.all(gateways.map((gateway) => gateway.ready()));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record(view), { minLength: viewerCount, maxLength: viewerCount }),
        fc.array(anyStep, { minLength: 40, maxLength: 60, size: 'max' }),
        async (views, history) => {
          const event = new TestEvent(fixture, await fixture.addEvent(deviceCount));
          const viewers = views.map(({ maxHz, box }) => {
            const { session } = fixture.addViewer(event.eventId);
            return new SocketViewer(event.eventId, session, maxHz, boxes[box]);
          });
          const connect = (at: number, to: number): void => viewers[at]?.connect(gateways[to]?.wsUrl ?? '');
          for (const at of viewers.keys()) connect(at, at % 2);
          for (const step of history) {
            if (step.type === 'move') await event.move(step.device, step.longitude, step.isLate);
            else if (step.type === 'connect') connect(step.viewer, step.gateway);
            else if (step.type === 'disconnect') viewers[step.viewer]?.disconnect();
            else if (step.type === 'stall') viewers[step.viewer]?.stall();
            else if (step.type === 'resume reading') viewers[step.viewer]?.resumeReading();
            else if (step.type === 'change view')
              viewers[step.viewer]?.changeView(step.maxHz, boxes[step.box]);
            else if (step.type === 'assign') await event.assign(step.device, step.isAssigned);
            else if (step.type === 'mark faulty') await event.markFaulty(step.device);
            else await new Promise((resolve) => setTimeout(resolve, step.ms));
          }
          for (const viewer of viewers) viewer.resumeReading();
          try {
            await eventually(
              () => {
                for (const [at, viewer] of viewers.entries())
                  if (!viewer.isConnected) connect(at, (at + 1) % 2);
                for (const { model } of viewers) {
                  expect(Object.fromEntries(model.held)).toEqual(event.expectedPositions(model.bbox));
                }
                return true;
              },
              { timeoutMs: 15_000, intervalMs: 50 },
            );
            for (const { model } of viewers) expect(model.violations).toEqual([]);
          } finally {
            for (const viewer of viewers) viewer.disconnect();
          }
        },
      ),
      { seed: chosenSeed('LIVE_SEED'), numRuns: 6, endOnFailure: true },
    );
    for (const gateway of gateways) expect(await gateway.metric('live_dropped_frames_total')).toBe(0);
  },
);
