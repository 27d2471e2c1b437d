import { startChromium } from '@app/test-kit/chromium';
import { eventually } from '@app/test-kit/eventually';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPageServer, expectShown, expectState, look, watchInPage } from './support/client-page.ts';
import { rowAt, topic } from './support/machine-driver.ts';
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

interface Fixture extends AsyncDisposable {
  readonly gateway: ModelGateway;
  readonly server: ModelServer;
  readonly page: Page;
  /** The status of /users/me and /auth/refresh. */
  readonly session: { me: number; refresh: number };
  /** @param inflates whether to ask for deflated frames. */
  watch(inflates?: boolean): Promise<void>;
}

async function openFixture({ inWindow = false } = {}): Promise<Fixture> {
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
  const resources = stack.move();
  return {
    gateway,
    server,
    page,
    session,
    watch: (inflates = false) =>
      watchInPage(page, server.origin, { url: server.wsUrl, topics: [topic], inflates }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Stops the page's clock and makes every retry delay the longest: the test moves the clock. */
async function stopClock(page: Page): Promise<void> {
  await page.addInitScript('Math.random = () => 0.999');
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + 60_000);
}

async function expectVisibility(page: Page, expected: string): Promise<void> {
  await eventually(async () => (await page.evaluate('document.visibilityState')) === expected);
}

describe('a client in a page of a real browser', () => {
  test('receives the snapshot and changes, in its map and from its iterator', async () => {
    await using fixture = await openFixture();
    fixture.gateway.publish(topic, rowAt('a', 10));
    fixture.gateway.publish(topic, rowAt('b', 20));
    await fixture.watch();
    await expectShown(fixture.page, topic, { a: 10, b: 20 });
    fixture.gateway.publish(topic, rowAt('c', 30));
    await expectShown(fixture.page, topic, { a: 10, b: 20, c: 30 });
    fixture.gateway.removeDevice(topic, 'b');
    await expectShown(fixture.page, topic, { a: 10, c: 30 });
    await eventually(async () => {
      const { read } = await look(fixture.page);
      return read.flatMap(({ removed }) => removed).includes('b');
    });
    const { states, read } = await look(fixture.page);
    expect(states).toEqual(['live']);
    expect(read.flatMap(({ positions }) => positions.map(({ deviceId }) => deviceId)).toSorted()).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(fixture.server.attempts[0]).toBe('live.v1');
  });

  test('receives changes in deflated frames, and what is sent as text after them', async () => {
    await using fixture = await openFixture();
    fixture.server.isDeflating = true;
    fixture.gateway.publish(topic, rowAt('a', 10));
    await fixture.watch(true);
    await expectShown(fixture.page, topic, { a: 10 });
    fixture.gateway.publish(topic, rowAt('b', 20));
    await expectShown(fixture.page, topic, { a: 10, b: 20 });
    fixture.gateway.publish(topic, rowAt('c', 30));
    fixture.gateway.removeDevice(topic, 'b');
    await expectShown(fixture.page, topic, { a: 10, c: 30 });
    expect(fixture.server.sessions[0]?.received[0]).toMatchObject({ type: 'subscribe', deflate: true });
  });

  test('resumes after a disconnect, and receives only what it missed', async () => {
    await using fixture = await openFixture();
    for (const deviceId of ['a', 'b', 'c']) fixture.gateway.publish(topic, rowAt(deviceId, 10));
    await fixture.watch();
    await expectShown(fixture.page, topic, { a: 10, b: 10, c: 10 });
    const { read: before } = await look(fixture.page);
    fixture.server.terminateAll();
    fixture.gateway.publish(topic, rowAt('b', 20));
    await expectShown(fixture.page, topic, { a: 10, b: 20, c: 10 });
    const { read, states } = await look(fixture.page);
    expect(read.slice(before.length)).toEqual([
      { topic, positions: [expect.objectContaining({ deviceId: 'b', ts: 20 })], removed: [] },
    ]);
    expect(states).toEqual(['live', 'reconnecting', 'live']);
    expect(fixture.server.sessions.at(-1)?.received[0]).toMatchObject({
      type: 'subscribe',
      cursor: expect.any(String),
      epoch: 'epoch-1',
    });
  });

  test('reconnects immediately when the network is back', async () => {
    await using fixture = await openFixture();
    const { page, server } = fixture;
    server.refuseWith = 503;
    await stopClock(page);
    await fixture.watch();
    await eventually(() => server.attempts.length === 1);
    // The first retry delay is 1 s, the second 2 s; the session is checked in between.
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

  test('sends a ping when its tab is visible again, and reconnects without a reply', async () => {
    await using fixture = await openFixture({ inWindow: true });
    const { page, server } = fixture;
    await stopClock(page);
    await fixture.watch();
    await expectState(page, 'live');
    const pings = (): number =>
      server.sessions[0]?.received.filter(({ type }) => type === 'ping').length ?? 0;
    await using other = await page.context().newPage();
    await expectVisibility(page, 'hidden');
    expect(pings()).toBe(0);
    await page.bringToFront();
    await eventually(() => pings() === 1);
    // Answered, so the timeout has no effect.
    await page.clock.runFor(6_000);
    server.isSilent = true;
    await other.bringToFront();
    await expectVisibility(page, 'hidden');
    await page.bringToFront();
    await eventually(() => pings() === 2);
    expect(server.attempts).toHaveLength(1);
    server.isSilent = false;
    await page.clock.runFor(5_000);
    await expectState(page, 'reconnecting');
    await page.clock.runFor(1_000);
    await expectState(page, 'live');
    expect(server.attempts).toHaveLength(2);
  });

  test('is stale after 35 s without a message, and live after the next one', async () => {
    await using fixture = await openFixture();
    const { page, server } = fixture;
    await stopClock(page);
    await fixture.watch();
    await expectState(page, 'live');
    server.isSilent = true;
    await page.clock.runFor(35_000);
    await expectState(page, 'stale');
    server.isSilent = false;
    fixture.gateway.publish(topic, rowAt('a', 10));
    await expectState(page, 'live');
    expect(server.attempts).toHaveLength(1);
  });

  test('stops if its session is gone and cannot be refreshed', async () => {
    await using fixture = await openFixture();
    fixture.server.refuseWith = 401;
    fixture.session.me = 401;
    fixture.session.refresh = 401;
    await fixture.watch();
    await expectState(fixture.page, 'unauthorised');
    const { asked, endings } = await look(fixture.page);
    expect(asked).toEqual(['/users/me 401', '/auth/refresh 401']);
    expect(endings).toEqual([{ reason: 'the session could not be refreshed' }]);
    expect(fixture.server.attempts).toHaveLength(2);
  });

  test('after 4001 reconnects with its cookie, and refreshes the session only if it is gone', async () => {
    await using fixture = await openFixture();
    fixture.gateway.publish(topic, rowAt('a', 10));
    await fixture.watch();
    await expectShown(fixture.page, topic, { a: 10 });
    fixture.server.closeAll(4001);
    await eventually(() => fixture.server.sessions.length === 2, { timeoutMs: 10_000 });
    await expectState(fixture.page, 'live');
    expect((await look(fixture.page)).asked).toEqual([]);
    fixture.server.refuseWith = 401;
    fixture.session.me = 401;
    fixture.server.closeAll(4001);
    await eventually(() => fixture.server.sessions.length === 3, { timeoutMs: 10_000 });
    await expectState(fixture.page, 'live');
    expect((await look(fixture.page)).asked).toEqual(['/users/me 401', '/auth/refresh 200']);
  });

  test('stops at 4403 with the reason', async () => {
    await using fixture = await openFixture();
    await fixture.watch();
    await expectState(fixture.page, 'live');
    fixture.server.closeAll(4403, 'too many connections');
    await expectState(fixture.page, 'closed');
    expect((await look(fixture.page)).endings).toEqual([{ code: 4403, reason: 'too many connections' }]);
  });
});
