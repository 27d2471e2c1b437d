import { expectShown, expectState, look, watchInPage } from '@app/live-client/testing/client-page';
import { startChromium } from '@app/test-kit/chromium';
import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import type { FaultyNetwork } from '@app/test-kit/faulty-network';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startClientPage } from './support/client-page-server.ts';
import type { ClientPageServer } from './support/client-page-server.ts';
import { fixOf, openFixture } from './support/open-fixture.ts';
import type { TestDevice, Fixture } from './support/open-fixture.ts';
import type { RunningGateway } from './support/start-gateway.ts';

type Chromium = Awaited<ReturnType<typeof startChromium>>;
type Page = Awaited<ReturnType<Chromium['newPage']>>;

let fixture: Fixture;
let site: ClientPageServer;
let gateway: RunningGateway;
/** Between the browser and the gateway. */
let network: FaultyNetwork;
let browser: Chromium;
let renewed: string | undefined;

beforeAll(async () => {
  browser = await startChromium();
  fixture = await openFixture();
  site = await startClientPage(fixture, () => renewed);
  gateway = await fixture.start({
    env: {
      LIVE_ALLOWED_ORIGINS: site.origin,
      REAUTHORIZE_INTERVAL_MS: '500',
      AUTH_CACHE_TTL_MS: '0',
      AUTHZ_CACHE_TTL_MS: '0',
    },
  });
  await gateway.ready();
  network = await startFaultyNetwork({ target: gateway.wsUrl });
});

afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
  await site?.[Symbol.asyncDispose]();
  await browser?.[Symbol.asyncDispose]();
  await fixture?.[Symbol.asyncDispose]();
});

interface Scene extends AsyncDisposable {
  readonly page: Page;
  readonly topic: string;
  readonly eventId: string;
  readonly devices: readonly [TestDevice, TestDevice];
  readonly session: string;
}

/** A page of a browser with a session, that watches an event of its own through the network. */
async function openScene({ clockStands = false, inWindow = false } = {}): Promise<Scene> {
  await network.heal();
  renewed = undefined;
  await using stack = new AsyncDisposableStack();
  const { eventId, devices } = await fixture.addEvent(2);
  const [first, second] = devices;
  if (first === undefined || second === undefined) throw new Error('too few devices');
  const { session } = fixture.addViewer(eventId);
  const window = inWindow ? browser.contexts()[0] : undefined;
  const context = window ?? stack.use(await browser.newContext());
  await context.addCookies([
    { name: 'directus_session_token', value: session, url: site.origin, httpOnly: true },
  ]);
  const page = stack.use(await context.newPage());
  const topic = `event:${eventId}`;
  if (clockStands) {
    await page.addInitScript('Math.random = () => 0.999');
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 60_000);
  }
  await watchInPage(page, site.origin, { url: network.through(gateway.wsUrl), topics: [topic], maxHz: 20 });
  await expectState(page, 'live');
  // A fix of a device that the gateway does not know yet is nobody's.
  await eventually(
    async () => {
      await fixture.publish(fixOf(first));
      return (await look(page)).held[topic]?.length === 1;
    },
    { timeoutMs: 15_000, intervalMs: 200 },
  );
  const scene = stack.move();
  return {
    page,
    topic,
    eventId,
    devices: [first, second],
    session,
    [Symbol.asyncDispose]: () => scene.disposeAsync(),
  };
}

async function publishAll({ devices }: Scene): Promise<Record<string, number>> {
  const fixAtMs = Date.now();
  for (const device of devices) await fixture.publish(fixOf(device, { fixAtMs }));
  return Object.fromEntries(devices.map(({ id }) => [id, fixAtMs]));
}

describe('the client in a browser, with the gateway', () => {
  test('comes in with the cookie of the browser, is live and shows what changes', async () => {
    await using scene = await openScene();
    await expectShown(scene.page, scene.topic, await publishAll(scene));
    const { states, problems, asked } = await look(scene.page);
    expect([states, problems, asked]).toEqual([['live'], [], []]);
  });

  test('resumes after a cut of the network, and gets only what it missed', async () => {
    await using scene = await openScene();
    const [first] = scene.devices;
    const fixes = await publishAll(scene);
    await expectShown(scene.page, scene.topic, fixes);
    const recoveredBefore = await gateway.metric('live_resumes_total', { outcome: 'recovered' });
    const { read: before } = await look(scene.page);
    network.cut();
    const missed = fixOf(first);
    await fixture.publish(missed);
    await expectShown(scene.page, scene.topic, { ...fixes, [first.id]: missed.fixAtMs });
    expect(await gateway.metric('live_resumes_total', { outcome: 'recovered' })).toBe(recoveredBefore + 1);
    const { read } = await look(scene.page);
    expect(read.slice(before.length)).toEqual([
      {
        topic: scene.topic,
        positions: [expect.objectContaining({ deviceId: first.id, ts: missed.fixAtMs })],
        removed: [],
      },
    ]);
  });

  test('comes back at once when the browser is online again', async () => {
    // The page's clock stands: nothing is tried again but by being woken, or by moving it.
    await using scene = await openScene({ clockStands: true });
    const { page } = scene;
    await network.refuse();
    network.cut();
    await expectState(page, 'reconnecting');
    // The waits are the longest that are drawn: 1 s, then 2 s after a second failure, which leads to the question.
    await eventually(
      async () => {
        await page.clock.runFor(200);
        return (await look(page)).asked.length === 1;
      },
      { timeoutMs: 15_000 },
    );
    await page.clock.runFor(1_200);
    await page.context().setOffline(true);
    await network.heal();
    expect((await look(page)).state).toBe('reconnecting');
    await page.context().setOffline(false);
    await expectState(page, 'live');
    await expectShown(page, scene.topic, await publishAll(scene));
  });

  test('finds out that its connection is dead when its tab is in front again, and comes back with what it missed', async () => {
    await using scene = await openScene({ inWindow: true });
    const { page, topic, devices } = scene;
    const fixes = await publishAll(scene);
    await expectShown(page, topic, fixes);
    await using front = await page.context().newPage();
    await eventually(async () => (await page.evaluate('document.visibilityState')) === 'hidden');
    // As after a sleep: the connection is there, and nothing comes through it any more.
    network.halfOpen();
    const missed = fixOf(devices[0]);
    await fixture.publish(missed);
    expect((await look(page)).state).toBe('live');
    expect(front.url()).toBe('about:blank');
    await page.bringToFront();
    // The server would take 50 s to notice, the client without a hint 35 s: it asks at once, and waits for 5 s.
    await expectShown(page, topic, { ...fixes, [devices[0].id]: missed.fixAtMs }, 25_000);
    expect((await look(page)).states).toEqual(['live', 'reconnecting', 'live']);
  });

  test('whose session ends is told 4001, finds it gone, refreshes it and goes on', async () => {
    await using scene = await openScene();
    const fixes = await publishAll(scene);
    await expectShown(scene.page, scene.topic, fixes);
    renewed = fixture.addViewer(scene.eventId).session;
    fixture.directus.expireSession(scene.session);
    await eventually(async () => (await look(scene.page)).asked.length === 2, { timeoutMs: 20_000 });
    await expectState(scene.page, 'live');
    expect((await look(scene.page)).asked).toEqual(['/users/me 401', '/auth/refresh 200']);
    await expectShown(scene.page, scene.topic, await publishAll(scene));
  });

  test('whose session is gone for good stops, though it cannot see why it was refused', async () => {
    await using scene = await openScene();
    fixture.directus.expireSession(scene.session);
    await expectState(scene.page, 'unauthorised', 20_000);
    const { asked, endings } = await look(scene.page);
    expect(asked).toEqual(['/users/me 401', '/auth/refresh 401']);
    expect(endings).toEqual([{ reason: 'the session could not be refreshed' }]);
  });

  test('of a foreign site is refused, and asks its own site once it was refused twice', async () => {
    await using scene = await openScene();
    await using foreign = await startClientPage(fixture, () => undefined);
    const page = await scene.page.context().newPage();
    await watchInPage(page, foreign.origin, { url: gateway.wsUrl, topics: [scene.topic] });
    await eventually(async () => (await look(page)).asked.length > 0, { timeoutMs: 20_000 });
    const { asked, state } = await look(page);
    expect([asked[0], state]).toEqual(['/users/me 200', 'connecting']);
  });
});
