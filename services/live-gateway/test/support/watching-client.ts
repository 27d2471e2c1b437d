import { connect } from '@app/live-client';
import type { Change, ConnectOptions, LiveClient, LiveState, ResultsChange } from '@app/live-client';
import { eventually } from '@app/test-kit/eventually';
import { expect } from 'vitest';
import { WebSocket } from 'ws';
import type { Fixture, TestDevice } from './open-fixture.ts';
import { testOrigin } from './start-gateway.ts';
import type { RunningGateway } from './start-gateway.ts';
import { connectBatched } from './viewer.ts';

/** A client in Node whose connection the test can cut, and whose replica it can change. */
export interface WatchingClient extends Disposable {
  readonly live: LiveClient;
  readonly topic: string;
  readonly eventId: string;
  readonly devices: readonly TestDevice[];
  readonly states: readonly LiveState[];
  readonly changes: readonly Change[];
  readonly resultsChanges: readonly ResultsChange[];
  /** The calls of `checkSession` with their status, and of `refreshSession`. */
  readonly sessionCalls: readonly string[];
  session: string;
  userId: string;
  /** The replica of the next connection. */
  replica: RunningGateway;
  /** Cuts the connection without a close frame. */
  cut(): void;
}

/**
 * Adds an event, waits until all replicas know its devices, and connects a client to the first replica.
 *
 * @param options of the client; `renew` returns the session that `refreshSession` sets.
 */
export async function openWatchingClient(
  fixture: Fixture,
  replicas: readonly [RunningGateway, ...RunningGateway[]],
  options: {
    readonly deviceCount?: number;
    /** Whether to subscribe to the results of the event as well. */
    readonly withResults?: boolean;
    readonly renew?: () => string;
  } & Partial<ConnectOptions> = {},
): Promise<WatchingClient> {
  const { deviceCount = 3, withResults = false, renew, ...connectOptions } = options;
  const { eventId, devices } = await fixture.addEvent(deviceCount);
  const topic = `event:${eventId}`;
  const states: LiveState[] = [];
  const changes: Change[] = [];
  const resultsChanges: ResultsChange[] = [];
  const sessionCalls: string[] = [];
  let socket: WebSocket | undefined;
  const viewer = fixture.addViewer(eventId);
  for (const { wsUrl } of replicas) await waitForAssignments(wsUrl, topic, viewer.session, deviceCount);
  const watching: Omit<WatchingClient, 'live'> = {
    topic,
    eventId,
    devices,
    states,
    changes,
    resultsChanges,
    sessionCalls,
    ...viewer,
    replica: replicas[0],
    cut: () => socket?.terminate(),
    [Symbol.dispose]: () => live.close(),
  };
  const live = connect({
    url: replicas[0].wsUrl,
    topics: withResults ? [topic, `results:${eventId}`] : [topic],
    maxHz: 20,
    openSocket: (_, protocol) => {
      socket = new WebSocket(watching.replica.wsUrl, protocol, {
        perMessageDeflate: false,
        headers: { origin: testOrigin, cookie: `directus_session_token=${watching.session}` },
      });
      return socket;
    },
    checkSession: async (signal) => {
      const headers = { cookie: `directus_session_token=${watching.session}` };
      const { status } = await fetch(`${fixture.directus.url}/users/me`, { headers, signal });
      sessionCalls.push(`check ${status}`);
      return { status };
    },
    ...(renew && {
      refreshSession: async () => {
        watching.session = renew();
        sessionCalls.push('refresh');
        return { status: 200 };
      },
    }),
    onState: (state) => states.push(state),
    onChange: (change) => changes.push(change),
    onResults: (change) => resultsChanges.push(change),
    ...connectOptions,
  });
  return Object.assign(watching, { live });
}

/** Waits until the gateway knows the event's devices. */
async function waitForAssignments(
  wsUrl: string,
  topic: string,
  session: string,
  deviceCount: number,
): Promise<void> {
  await eventually(
    async () => {
      using viewer = await connectBatched(wsUrl, { session });
      viewer.send({ type: 'subscribe', topic });
      return (await viewer.next('subscribed')).devices === deviceCount;
    },
    { timeoutMs: 15_000, intervalMs: 50 },
  );
}

/** Waits until the client holds exactly these fix times by device id. */
export async function expectHeld(
  { live, topic }: WatchingClient,
  expected: Readonly<Record<string, number>>,
): Promise<void> {
  await eventually(
    () => {
      const held = [...(live.positions.get(topic) ?? [])].map(([id, { ts }]) => [id, ts]);
      expect(Object.fromEntries(held)).toEqual(expected);
      return true;
    },
    { timeoutMs: 15_000 },
  );
}

export async function expectState({ live, states }: WatchingClient, expected: LiveState): Promise<void> {
  await eventually(
    () => {
      expect({ state: live.state, states }).toEqual({ state: expected, states });
      return true;
    },
    { timeoutMs: 15_000 },
  );
}

/** Waits until the client has detected the loss of its connection; it may be live again already. */
export async function expectLost({ states }: WatchingClient): Promise<void> {
  await eventually(() => states.includes('reconnecting'), { timeoutMs: 15_000 });
}

/** Asserts that no device was shown with an older fix than before. */
export function expectNoOlderFix({ changes }: WatchingClient): void {
  const newest = new Map<string, number>();
  for (const { positions, removed } of changes) {
    for (const id of removed) newest.delete(id);
    for (const { deviceId, ts } of positions) {
      expect(ts).toBeGreaterThanOrEqual(newest.get(deviceId) ?? 0);
      newest.set(deviceId, ts);
    }
  }
}
