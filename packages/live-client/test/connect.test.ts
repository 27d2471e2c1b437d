import { eventually } from '@app/test-kit/eventually';
import { describe, expect, test } from 'vitest';
import { connect } from '../src/connect.ts';
import type { Change, ConnectOptions, LiveClient, Problem } from '../src/connect.ts';
import { otherTopic, rowAt, topic } from './support/lead-machine.ts';
import { ModelGateway } from './support/model-gateway.ts';
import { startModelServer } from './support/start-model-server.ts';
import type { ModelServer } from './support/start-model-server.ts';

interface Scene extends AsyncDisposable {
  readonly gateway: ModelGateway;
  readonly server: ModelServer;
  connect(options?: Partial<ConnectOptions>): LiveClient;
}

async function openScene(): Promise<Scene> {
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

function heldBy(live: LiveClient): Record<string, number> {
  return Object.fromEntries([...(live.positions.get(topic) ?? [])].map(([id, { ts }]) => [id, ts]));
}

async function expectHeld(live: LiveClient, wanted: Record<string, number>): Promise<void> {
  await eventually(() => {
    expect(heldBy(live)).toEqual(wanted);
    return true;
  });
}

describe('a client in Node', () => {
  test('gets the snapshot and then what changes, by callback and in the map', async () => {
    await using scene = await openScene();
    scene.gateway.publish(topic, rowAt('a', 10));
    scene.gateway.publish(topic, rowAt('b', 20));
    const states: string[] = [];
    const changes: Change[] = [];
    const live = scene.connect({
      maxHz: 2,
      onState: (state) => states.push(state),
      onChange: (change) => changes.push(change),
    });
    expect(live.state).toBe('connecting');
    await expectHeld(live, { a: 10, b: 20 });
    scene.gateway.publish(topic, rowAt('c', 30));
    await expectHeld(live, { a: 10, b: 20, c: 30 });
    expect(states).toEqual(['live']);
    expect(changes.flatMap(({ positions }) => positions.map(({ deviceId }) => deviceId))).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(scene.server.attempts[0]?.protocols).toBe('live.v1');
    expect(scene.server.sessions[0]?.heard).toEqual([{ type: 'subscribe', id: 1, topic, maxHz: 2 }]);
  });

  test('resumes after a cut where it was, and gets only what it missed', async () => {
    await using scene = await openScene();
    for (const deviceId of ['a', 'b', 'c']) scene.gateway.publish(topic, rowAt(deviceId, 10));
    const states: string[] = [];
    const live = scene.connect({ onState: (state) => states.push(state) });
    await expectHeld(live, { a: 10, b: 10, c: 10 });
    const changes: Change[] = [];
    const reading = (async () => {
      for await (const change of live) changes.push(change);
    })();
    scene.server.cutAll();
    await eventually(() => live.state === 'reconnecting');
    scene.gateway.publish(topic, rowAt('b', 20));
    await expectHeld(live, { a: 10, b: 20, c: 10 });
    expect(states).toEqual(['live', 'reconnecting', 'live']);
    live.close();
    await reading;
    expect(changes.slice(1)).toEqual([
      { topic, positions: [expect.objectContaining({ deviceId: 'b', ts: 20 })], removed: [] },
    ]);
  });

  test('that cannot resume shows the new snapshot and nothing of before', async () => {
    await using scene = await openScene();
    scene.gateway.publish(topic, rowAt('a', 10));
    const live = scene.connect();
    await expectHeld(live, { a: 10 });
    scene.gateway.changeEpoch();
    scene.gateway.removeDevice(topic, 'a');
    scene.server.cutAll();
    scene.gateway.publish(topic, rowAt('b', 5));
    await expectHeld(live, { b: 5 });
  });

  test('drops nothing of what it is told about devices', async () => {
    await using scene = await openScene();
    scene.gateway.publish(topic, rowAt('a', 10));
    scene.gateway.publish(topic, rowAt('b', 10));
    const live = scene.connect();
    await expectHeld(live, { a: 10, b: 10 });
    scene.gateway.goBack(topic, rowAt('a', 5));
    await expectHeld(live, { a: 5, b: 10 });
    scene.gateway.removeDevice(topic, 'b');
    await expectHeld(live, { a: 5 });
    live.update({ bbox: [20, 40, 30, 50] });
    await expectHeld(live, {});
    live.update({ bbox: null });
    await expectHeld(live, { a: 5 });
  });

  test('stops at 4403 and says why, and its iterator ends', async () => {
    await using scene = await openScene();
    const endings: unknown[] = [];
    const live = scene.connect({ onState: (state, ending) => endings.push([state, ending]) });
    await eventually(() => live.state === 'live');
    scene.server.closeAll(4403, 'too many connections');
    for await (const change of live) expect(change).toBeUndefined();
    expect(live.state).toBe('closed');
    expect(endings.at(-1)).toEqual(['closed', { code: 4403, reason: 'too many connections' }]);
    expect(scene.server.attempts).toHaveLength(1);
  });

  test('that is refused twice asks the page, and stops when the session is gone', async () => {
    await using scene = await openScene();
    // Not 401: Node's WebSocket asks a second time at that, as fetch does, and each would count.
    scene.server.refuseWith = 403;
    let asked = 0;
    const live = scene.connect({
      checkSession: async (signal) => {
        expect(signal.aborted).toBe(false);
        asked += 1;
        return { status: 401 };
      },
    });
    await eventually(() => live.state === 'unauthorised', { timeoutMs: 10_000 });
    expect(asked).toBe(1);
    expect(scene.server.attempts).toHaveLength(2);
  });

  test('after 4001 comes back with the cookie of now, and refreshes when that is refused and gone', async () => {
    await using scene = await openScene();
    const asked: string[] = [];
    const live = scene.connect({
      checkSession: async () => {
        asked.push('check');
        return { status: 401 };
      },
      refreshSession: async () => {
        asked.push('refresh');
        scene.server.refuseWith = undefined;
        return { status: 200 };
      },
    });
    await eventually(() => live.state === 'live');
    scene.server.closeAll(4001);
    await eventually(() => scene.server.sessions.length === 2 && live.state === 'live', {
      timeoutMs: 10_000,
    });
    expect(asked).toEqual([]);
    scene.server.refuseWith = 401;
    scene.server.closeAll(4001);
    await eventually(() => asked.length > 0, { timeoutMs: 10_000 });
    await eventually(() => scene.server.sessions.length === 3 && live.state === 'live', {
      timeoutMs: 10_000,
    });
    expect(asked).toEqual(['check', 'refresh']);
  });

  test('goes on when the page cannot answer, and is live as soon as it is let in', async () => {
    await using scene = await openScene();
    scene.server.refuseWith = 503;
    let asked = 0;
    const live = scene.connect({
      checkSession: async () => {
        asked += 1;
        scene.server.refuseWith = undefined;
        throw new Error('no network');
      },
    });
    await eventually(() => live.state === 'live', { timeoutMs: 15_000 });
    expect(asked).toBe(1);
  });

  test('that the server refuses a topic for a while asks again after that while', async () => {
    await using scene = await openScene();
    scene.gateway.publish(topic, rowAt('a', 10));
    scene.gateway.refuse(topic, { code: 'unavailable', temporary: true, retryAfterMs: 300 });
    const problems: Problem[] = [];
    const refusedAtMs = performance.now();
    const live = scene.connect({
      onProblem: (problem) => {
        problems.push(problem);
        scene.gateway.refuse(topic, undefined);
      },
    });
    await expectHeld(live, { a: 10 });
    expect(performance.now() - refusedAtMs).toBeGreaterThanOrEqual(300);
    expect(problems).toEqual([{ code: 'unavailable', message: 'unavailable', topic, isTemporary: true }]);
  });

  test('that loses the permission for its only event shows nothing of it any more', async () => {
    await using scene = await openScene();
    scene.gateway.publish(topic, rowAt('a', 10));
    const live = scene.connect();
    await expectHeld(live, { a: 10 });
    scene.gateway.withdraw(topic);
    await eventually(() => live.state === 'unauthorised');
    expect(heldBy(live)).toEqual({});
  });

  test('is told to come back later and comes back later', async () => {
    await using scene = await openScene();
    scene.gateway.publish(topic, rowAt('a', 10));
    const live = scene.connect();
    await expectHeld(live, { a: 10 });
    const toldAtMs = performance.now();
    scene.server.sessions[0]?.say({ type: 'reconnect', afterMs: 700 });
    scene.server.closeAll(1012);
    await eventually(() => scene.server.sessions.length === 2, { timeoutMs: 10_000 });
    expect((scene.server.attempts[1]?.atMs ?? 0) - toldAtMs).toBeGreaterThanOrEqual(690);
  });

  test('may be closed and updated from within its own callbacks, and one that throws harms only itself', async () => {
    await using scene = await openScene();
    scene.gateway.addDevices(otherTopic, 'z');
    const thrown: unknown[] = [];
    const noteError = (error: unknown): unknown => thrown.push(error);
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', noteError);
    try {
      const live: LiveClient = scene.connect({
        topics: [topic, otherTopic],
        onState: (state) => {
          if (state === 'live') live.update({ maxHz: 1 });
          throw new Error('the page’s own');
        },
        onChange: () => live.close(),
      });
      await eventually(() => thrown.length > 0);
      expect(live.state).toBe('live');
      scene.gateway.publish(topic, rowAt('a', 1));
      await eventually(() => live.state === 'closed');
      await eventually(() => thrown.length === 2);
      expect(scene.server.sessions[0]?.heard.map(({ type }) => type)).toEqual([
        'subscribe',
        'subscribe',
        'update',
        'update',
      ]);
    } finally {
      process.off('uncaughtException', noteError);
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
  });

  test('closes when its signal aborts', async () => {
    await using scene = await openScene();
    const stop = new AbortController();
    const live = scene.connect({ signal: stop.signal });
    await eventually(() => live.state === 'live');
    stop.abort();
    expect(live.state).toBe('closed');
    await eventually(() => scene.gateway.sessions.size === 0);
    expect(scene.connect({ signal: stop.signal }).state).toBe('closed');
  });

  test('throws at once for a URL that is none', () => {
    expect(() => connect({ url: 'nowhere', topics: [topic] })).toThrow(/nowhere|url/i);
  });
});

describe('iterating', () => {
  test('begins with what is held, and gives a slow reader each device once, with its newest position', async () => {
    await using scene = await openScene();
    scene.gateway.publish(topic, rowAt('a', 1));
    const live = scene.connect();
    await expectHeld(live, { a: 1 });
    const reader = live[Symbol.asyncIterator]();
    expect((await reader.next()).value).toMatchObject({ positions: [{ deviceId: 'a', ts: 1 }], removed: [] });
    for (let ts = 2; ts <= 50; ts += 1) scene.gateway.publish(topic, rowAt('a', ts));
    await expectHeld(live, { a: 50 });
    for (let ts = 51; ts <= 60; ts += 1) scene.gateway.publish(topic, rowAt('a', ts));
    scene.gateway.publish(topic, rowAt('b', 7));
    await expectHeld(live, { a: 60, b: 7 });
    scene.gateway.removeDevice(topic, 'b');
    await expectHeld(live, { a: 60 });
    expect((await reader.next()).value).toEqual({
      topic,
      positions: [expect.objectContaining({ deviceId: 'a', ts: 60 })],
      removed: ['b'],
    });
    live.close();
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  test('is for several readers at once, and each gets everything', async () => {
    await using scene = await openScene();
    const live = scene.connect();
    const seen = async (): Promise<number | undefined> => {
      for await (const { positions } of live) return positions[0]?.ts;
      return undefined;
    };
    const readers = Promise.all([seen(), seen()]);
    await eventually(() => live.state === 'live');
    scene.gateway.publish(topic, rowAt('a', 42));
    expect(await readers).toEqual([42, 42]);
  });
});
