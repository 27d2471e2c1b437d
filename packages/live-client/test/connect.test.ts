import { eventually } from '@app/test-kit/eventually';
import { describe, expect, test } from 'vitest';
import { connect } from '../src/connect.ts';
import type { Change, ConnectOptions, LiveClient, Problem } from '../src/connect.ts';
import { otherTopic, rowAt, topic } from './support/machine-driver.ts';
import { ModelGateway } from './support/model-gateway.ts';
import { startModelServer } from './support/start-model-server.ts';
import type { ModelServer } from './support/start-model-server.ts';

interface Fixture extends AsyncDisposable {
  readonly gateway: ModelGateway;
  readonly server: ModelServer;
  connect(options?: Partial<ConnectOptions>): LiveClient;
}

async function openFixture(): Promise<Fixture> {
  const gateway = new ModelGateway();
  gateway.addDevices(topic, 'a', 'b', 'c');
  const server = await startModelServer(gateway);
  const clients: LiveClient[] = [];
  return {
    gateway,
    server,
    connect: (options = {}) => {
      const client = connect({ url: server.wsUrl, topics: [topic], ...options });
      clients.push(client);
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

function fixTimes(live: LiveClient): Record<string, number> {
  return Object.fromEntries([...(live.positions.get(topic) ?? [])].map(([id, { ts }]) => [id, ts]));
}

async function expectFixTimes(live: LiveClient, expected: Record<string, number>): Promise<void> {
  await eventually(() => {
    expect(fixTimes(live)).toEqual(expected);
    return true;
  });
}

describe('a client in Node', () => {
  test('receives the snapshot and then changes, by callback and in the map', async () => {
    await using fixture = await openFixture();
    fixture.gateway.publish(topic, rowAt('a', 10));
    fixture.gateway.publish(topic, rowAt('b', 20));
    const states: string[] = [];
    const changes: Change[] = [];
    const live = fixture.connect({
      maxHz: 2,
      onState: (state) => states.push(state),
      onChange: (change) => changes.push(change),
    });
    expect(live.state).toBe('connecting');
    await expectFixTimes(live, { a: 10, b: 20 });
    fixture.gateway.publish(topic, rowAt('c', 30));
    await expectFixTimes(live, { a: 10, b: 20, c: 30 });
    expect(states).toEqual(['live']);
    expect(changes.flatMap(({ positions }) => positions.map(({ deviceId }) => deviceId))).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(fixture.server.attempts[0]).toBe('live.v1');
    expect(fixture.server.sessions[0]?.received).toEqual([{ type: 'subscribe', id: 1, topic, maxHz: 2 }]);
  });

  test('resumes after a disconnect, and receives only what it missed', async () => {
    await using fixture = await openFixture();
    for (const deviceId of ['a', 'b', 'c']) fixture.gateway.publish(topic, rowAt(deviceId, 10));
    const states: string[] = [];
    const live = fixture.connect({ onState: (state) => states.push(state) });
    await expectFixTimes(live, { a: 10, b: 10, c: 10 });
    const changes: Change[] = [];
    const reading = (async () => {
      for await (const change of live) changes.push(change);
    })();
    fixture.server.terminateAll();
    await eventually(() => live.state === 'reconnecting');
    fixture.gateway.publish(topic, rowAt('b', 20));
    await expectFixTimes(live, { a: 10, b: 20, c: 10 });
    expect(states).toEqual(['live', 'reconnecting', 'live']);
    live.close();
    await reading;
    expect(changes.slice(1)).toEqual([
      { topic, positions: [expect.objectContaining({ deviceId: 'b', ts: 20 })], removed: [] },
    ]);
  });

  test('that cannot resume has only the positions of the new snapshot', async () => {
    await using fixture = await openFixture();
    fixture.gateway.publish(topic, rowAt('a', 10));
    const live = fixture.connect();
    await expectFixTimes(live, { a: 10 });
    fixture.gateway.changeEpoch();
    fixture.gateway.removeDevice(topic, 'a');
    fixture.server.terminateAll();
    fixture.gateway.publish(topic, rowAt('b', 5));
    await expectFixTimes(live, { b: 5 });
  });

  test('follows older fixes, removed devices and boxes', async () => {
    await using fixture = await openFixture();
    fixture.gateway.publish(topic, rowAt('a', 10));
    fixture.gateway.publish(topic, rowAt('b', 10));
    const live = fixture.connect();
    await expectFixTimes(live, { a: 10, b: 10 });
    fixture.gateway.publishOlder(topic, rowAt('a', 5));
    await expectFixTimes(live, { a: 5, b: 10 });
    fixture.gateway.removeDevice(topic, 'b');
    await expectFixTimes(live, { a: 5 });
    live.update({ bbox: [20, 40, 30, 50] });
    await expectFixTimes(live, {});
    live.update({ bbox: null });
    await expectFixTimes(live, { a: 5 });
  });

  test('stops at 4403 with the reason, and its iterator ends', async () => {
    await using fixture = await openFixture();
    const endings: unknown[] = [];
    const live = fixture.connect({ onState: (state, ending) => endings.push([state, ending]) });
    await eventually(() => live.state === 'live');
    fixture.server.closeAll(4403, 'too many connections');
    for await (const change of live) expect(change).toBeUndefined();
    expect(live.state).toBe('closed');
    expect(endings.at(-1)).toEqual(['closed', { code: 4403, reason: 'too many connections' }]);
    expect(fixture.server.attempts).toHaveLength(1);
  });

  test('that is rejected twice checks the session, and stops if it is gone', async () => {
    await using fixture = await openFixture();
    // Not 401, which Node's WebSocket retries by itself, as fetch does.
    fixture.server.refuseWith = 403;
    let checks = 0;
    const live = fixture.connect({
      checkSession: async (signal) => {
        expect(signal.aborted).toBe(false);
        checks += 1;
        return { status: 401 };
      },
    });
    await eventually(() => live.state === 'unauthorised', { timeoutMs: 10_000 });
    expect(checks).toBe(1);
    expect(fixture.server.attempts).toHaveLength(2);
  });

  test('after 4001 reconnects with the current cookie, and refreshes the session if that is rejected', async () => {
    await using fixture = await openFixture();
    const requests: string[] = [];
    const live = fixture.connect({
      checkSession: async () => {
        requests.push('check');
        return { status: 401 };
      },
      refreshSession: async () => {
        requests.push('refresh');
        fixture.server.refuseWith = undefined;
        return { status: 200 };
      },
    });
    await eventually(() => live.state === 'live');
    fixture.server.closeAll(4001);
    await eventually(() => fixture.server.sessions.length === 2 && live.state === 'live', {
      timeoutMs: 10_000,
    });
    expect(requests).toEqual([]);
    fixture.server.refuseWith = 401;
    fixture.server.closeAll(4001);
    await eventually(() => requests.length > 0, { timeoutMs: 10_000 });
    await eventually(() => fixture.server.sessions.length === 3 && live.state === 'live', {
      timeoutMs: 10_000,
    });
    expect(requests).toEqual(['check', 'refresh']);
  });

  test('retries if the session check fails', async () => {
    await using fixture = await openFixture();
    fixture.server.refuseWith = 503;
    let checks = 0;
    const live = fixture.connect({
      checkSession: async () => {
        checks += 1;
        fixture.server.refuseWith = undefined;
        throw new Error('no network');
      },
    });
    await eventually(() => live.state === 'live', { timeoutMs: 15_000 });
    expect(checks).toBe(1);
  });

  test('subscribes again after a temporary error', async () => {
    await using fixture = await openFixture();
    fixture.gateway.publish(topic, rowAt('a', 10));
    fixture.gateway.refuse(topic, { code: 'unavailable', temporary: true, retryAfterMs: 300 });
    const problems: Problem[] = [];
    const live = fixture.connect({
      onProblem: (problem) => {
        problems.push(problem);
        fixture.gateway.refuse(topic, undefined);
      },
    });
    await expectFixTimes(live, { a: 10 });
    expect(problems).toEqual([{ code: 'unavailable', message: 'unavailable', topic, isTemporary: true }]);
  });

  test('removes the positions of an event whose permission is revoked', async () => {
    await using fixture = await openFixture();
    fixture.gateway.publish(topic, rowAt('a', 10));
    const live = fixture.connect();
    await expectFixTimes(live, { a: 10 });
    fixture.gateway.revoke(topic);
    await eventually(() => live.state === 'unauthorised');
    expect(fixTimes(live)).toEqual({});
  });

  test('reconnects after a reconnect message', async () => {
    await using fixture = await openFixture();
    fixture.gateway.publish(topic, rowAt('a', 10));
    const live = fixture.connect();
    await expectFixTimes(live, { a: 10 });
    fixture.server.sessions[0]?.send({ type: 'reconnect', afterMs: 700 });
    fixture.server.closeAll(1012);
    await eventually(() => fixture.server.sessions.length === 2, { timeoutMs: 10_000 });
  });

  test('can be updated and closed in its callbacks, and a callback that throws does not stop it', async () => {
    await using fixture = await openFixture();
    fixture.gateway.addDevices(otherTopic, 'z');
    const thrown: unknown[] = [];
    const onError = (error: unknown): unknown => thrown.push(error);
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', onError);
    try {
      const live: LiveClient = fixture.connect({
        topics: [topic, otherTopic],
        onState: (state) => {
          if (state === 'live') live.update({ maxHz: 1 });
          throw new Error('thrown by a callback');
        },
        onChange: () => live.close(),
      });
      await eventually(() => thrown.length > 0);
      expect(live.state).toBe('live');
      fixture.gateway.publish(topic, rowAt('a', 1));
      await eventually(() => live.state === 'closed');
      await eventually(() => thrown.length === 2);
      expect(fixture.server.sessions[0]?.received.map(({ type }) => type)).toEqual([
        'subscribe',
        'subscribe',
        'update',
        'update',
      ]);
    } finally {
      process.off('uncaughtException', onError);
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
  });

  test('closes when its signal aborts', async () => {
    await using fixture = await openFixture();
    const stop = new AbortController();
    const live = fixture.connect({ signal: stop.signal });
    await eventually(() => live.state === 'live');
    stop.abort();
    expect(live.state).toBe('closed');
    await eventually(() => fixture.gateway.sessions.size === 0);
    expect(fixture.connect({ signal: stop.signal }).state).toBe('closed');
  });

  test('throws for an invalid URL', () => {
    expect(() => connect({ url: 'nowhere', topics: [topic] })).toThrow(/nowhere|url/i);
  });
});

describe('iterating', () => {
  test('starts with the current positions; a slow reader gets the newest position of each device', async () => {
    await using fixture = await openFixture();
    fixture.gateway.publish(topic, rowAt('a', 1));
    const live = fixture.connect();
    await expectFixTimes(live, { a: 1 });
    const reader = live[Symbol.asyncIterator]();
    expect((await reader.next()).value).toMatchObject({ positions: [{ deviceId: 'a', ts: 1 }], removed: [] });
    for (let ts = 2; ts <= 50; ts += 1) fixture.gateway.publish(topic, rowAt('a', ts));
    await expectFixTimes(live, { a: 50 });
    for (let ts = 51; ts <= 60; ts += 1) fixture.gateway.publish(topic, rowAt('a', ts));
    fixture.gateway.publish(topic, rowAt('b', 7));
    await expectFixTimes(live, { a: 60, b: 7 });
    fixture.gateway.removeDevice(topic, 'b');
    await expectFixTimes(live, { a: 60 });
    expect((await reader.next()).value).toEqual({
      topic,
      positions: [expect.objectContaining({ deviceId: 'a', ts: 60 })],
      removed: ['b'],
    });
    live.close();
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  test('several iterators each get all changes', async () => {
    await using fixture = await openFixture();
    const live = fixture.connect();
    const firstFixTime = async (): Promise<number | undefined> => {
      for await (const { positions } of live) return positions[0]?.ts;
      return undefined;
    };
    const readers = Promise.all([firstFixTime(), firstFixTime()]);
    await eventually(() => live.state === 'live');
    fixture.gateway.publish(topic, rowAt('a', 42));
    expect(await readers).toEqual([42, 42]);
  });
});
