import { startChromium } from '@app/test-kit/chromium';
import { eventually } from '@app/test-kit/eventually';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPageServer, expectShown, expectState, look, watchInPage } from './support/client-page.ts';
import { rowAt, topic } from './support/lead-machine.ts';
import { ModelGateway } from './support/model-gateway.ts';
import { startModelServer } from './support/start-model-server.ts';
import type { ModelServer } from './support/start-model-server.ts';

let browser: Browser;
let servePage: Awaited<ReturnType<typeof createPageServer>>;

beforeAll(async () => {
  browser = await startChromium();
  servePage = await createPageServer();
});

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
});

interface Scene extends AsyncDisposable {
  readonly gateway: ModelGateway;
  readonly server: ModelServer;
  readonly page: Page;
  /** What /users/me and /auth/refresh answer. */
  readonly session: { me: number; refresh: number };
  watch(): Promise<void>;
}

async function openScene({ inWindow = false } = {}): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const gateway = new ModelGateway();
  gateway.addDevices(topic, 'a', 'b', 'c');
  const session = { me: 200, refresh: 200 };
  const server = stack.use(
    await startModelServer(gateway, (request, response) => {
      if (servePage(request, response)) return;
      const status = request.url === '/users/me' ? session.me : session.refresh;
      if (request.url === '/auth/refresh' && status === 200) server.refuseWith = undefined;
      response.writeHead(status).end();
    }),
  );
  const window = inWindow ? browser.contexts()[0] : undefined;
  const context = window ?? stack.use(await browser.newContext());
  const page = stack.use(await context.newPage());
  const scene = stack.move();
  return {
    gateway,
    server,
    page,
    session,
    watch: () => watchInPage(page, server.origin, { url: server.wsUrl, topics: [topic] }),
    [Symbol.asyncDispose]: () => scene.disposeAsync(),
  };
}

/** Stops the page's clock and makes every draw the longest: nothing is tried again until the test moves the clock. */
async function stopClock(page: Page): Promise<void> {
  await page.addInitScript('Math.random = () => 0.999');
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + 60_000);
}

async function expectVisibility(page: Page, wanted: string): Promise<void> {
  await eventually(async () => (await page.evaluate('document.visibilityState')) === wanted);
}

describe('a client in a page of a real browser', () => {
  test('gets the snapshot and what changes, in its map and from its iterator', async () => {
    await using scene = await openScene();
    scene.gateway.publish(topic, rowAt('a', 10));
    scene.gateway.publish(topic, rowAt('b', 20));
    await scene.watch();
    await expectShown(scene.page, topic, { a: 10, b: 20 });
    scene.gateway.publish(topic, rowAt('c', 30));
    await expectShown(scene.page, topic, { a: 10, b: 20, c: 30 });
    scene.gateway.removeDevice(topic, 'b');
    await expectShown(scene.page, topic, { a: 10, c: 30 });
    await eventually(async () => {
      const { read } = await look(scene.page);
      return read.flatMap(({ removed }) => removed).includes('b');
    });
    const { states, read } = await look(scene.page);
    expect(states).toEqual(['live']);
    expect(read.flatMap(({ positions }) => positions.map(({ deviceId }) => deviceId)).toSorted()).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(scene.server.attempts[0]?.protocols).toBe('live.v1');
  });

  test('resumes after a cut, and gets only what it missed', async () => {
    await using scene = await openScene();
    for (const deviceId of ['a', 'b', 'c']) scene.gateway.publish(topic, rowAt(deviceId, 10));
    await scene.watch();
    await expectShown(scene.page, topic, { a: 10, b: 10, c: 10 });
    const { read: before } = await look(scene.page);
    scene.server.cutAll();
    scene.gateway.publish(topic, rowAt('b', 20));
    await expectShown(scene.page, topic, { a: 10, b: 20, c: 10 });
    const { read, states } = await look(scene.page);
    expect(read.slice(before.length)).toEqual([
      { topic, positions: [expect.objectContaining({ deviceId: 'b', ts: 20 })], removed: [] },
    ]);
    expect(states).toEqual(['live', 'reconnecting', 'live']);
    expect(scene.server.sessions.at(-1)?.heard[0]).toMatchObject({
      type: 'subscribe',
      cursor: expect.any(String),
      epoch: 'epoch-1',
    });
  });

  test('comes back at once when the network is back, however long it still had to wait', async () => {
    await using scene = await openScene();
    const { page, server } = scene;
    server.refuseWith = 503;
    await stopClock(page);
    await scene.watch();
    await eventually(() => server.attempts.length === 1);
    // The wait after a first failure is 1 s, after a second 2 s; the question to the page lies in between.
    await eventually(async () => {
      await page.clock.runFor(200);
      return server.attempts.length === 2;
    });
    await eventually(async () => (await look(page)).asked.includes('/users/me 200'));
    await page.clock.runFor(1_200);
    expect(server.attempts).toHaveLength(2);
    await page.context().setOffline(true);
    server.refuseWith = undefined;
    expect(server.attempts).toHaveLength(2);
    await page.context().setOffline(false);
    await expectState(page, 'live');
    expect(server.attempts).toHaveLength(3);
  });

  test('asks for a sign of life when its tab is in front again, and comes back if there is none', async () => {
    await using scene = await openScene({ inWindow: true });
    const { page, server } = scene;
    await stopClock(page);
    await scene.watch();
    await expectState(page, 'live');
    const pings = (): number => server.sessions[0]?.heard.filter(({ type }) => type === 'ping').length ?? 0;
    await using other = await page.context().newPage();
    await expectVisibility(page, 'hidden');
    expect(pings()).toBe(0);
    await page.bringToFront();
    await eventually(() => pings() === 1);
    // Answered: the limit of the answer passes, and nothing happens.
    await page.clock.runFor(6_000);
    server.isMute = true;
    await other.bringToFront();
    await expectVisibility(page, 'hidden');
    await page.bringToFront();
    await eventually(() => pings() === 2);
    expect(server.attempts).toHaveLength(1);
    server.isMute = false;
    await page.clock.runFor(5_000);
    await expectState(page, 'reconnecting');
    await page.clock.runFor(1_000);
    await expectState(page, 'live');
    expect(server.attempts).toHaveLength(2);
  });

  test('shows itself stale after 35 s of silence, and live with the next word', async () => {
    await using scene = await openScene();
    const { page, server } = scene;
    await stopClock(page);
    await scene.watch();
    await expectState(page, 'live');
    server.isMute = true;
    await page.clock.runFor(35_000);
    await expectState(page, 'stale');
    server.isMute = false;
    scene.gateway.publish(topic, rowAt('a', 10));
    await expectState(page, 'live');
    expect(server.attempts).toHaveLength(1);
  });

  test('whose session is gone stops when the page is told so', async () => {
    await using scene = await openScene();
    scene.server.refuseWith = 401;
    scene.session.me = 401;
    scene.session.refresh = 401;
    await scene.watch();
    await expectState(scene.page, 'unauthorised');
    const { asked, endings } = await look(scene.page);
    expect(asked).toEqual(['/users/me 401', '/auth/refresh 401']);
    expect(endings).toEqual([{ reason: 'the session could not be refreshed' }]);
    expect(scene.server.attempts).toHaveLength(2);
  });

  test('whose session has ended tries its cookie first, refreshes only what is gone, and goes on', async () => {
    await using scene = await openScene();
    scene.gateway.publish(topic, rowAt('a', 10));
    await scene.watch();
    await expectShown(scene.page, topic, { a: 10 });
    scene.server.closeAll(4001);
    await eventually(() => scene.server.sessions.length === 2, { timeoutMs: 10_000 });
    await expectState(scene.page, 'live');
    expect((await look(scene.page)).asked).toEqual([]);
    scene.server.refuseWith = 401;
    scene.session.me = 401;
    scene.server.closeAll(4001);
    await eventually(() => scene.server.sessions.length === 3, { timeoutMs: 10_000 });
    await expectState(scene.page, 'live');
    expect((await look(scene.page)).asked).toEqual(['/users/me 401', '/auth/refresh 200']);
  });

  test('stops at 4403 and says why', async () => {
    await using scene = await openScene();
    await scene.watch();
    await expectState(scene.page, 'live');
    scene.server.closeAll(4403, 'too many connections');
    await expectState(scene.page, 'closed');
    expect((await look(scene.page)).endings).toEqual([{ code: 4403, reason: 'too many connections' }]);
  });
});
