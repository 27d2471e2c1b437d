import { expectShown, expectState, look, watchInPage } from '@app/live-client/testing/client-page';
import { startChromium } from '@app/test-kit/chromium';
import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import type { FaultyNetwork } from '@app/test-kit/faulty-network';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startClientPage } from './support/client-page-server.ts';
import type { ClientPageServer } from './support/client-page-server.ts';
import { deviceAt, fixOf, openFixture } from './support/open-fixture.ts';
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

interface WatchingPage extends AsyncDisposable {
  readonly page: Page;
  readonly topic: string;
  readonly eventId: string;
  readonly devices: readonly [TestDevice, TestDevice];
  readonly session: string;
}

/**
 * Opens a page with a session that watches an event of its own through the network.
 *
 * @param isClockPaused the page's timers run only by `page.clock`, with the longest backoffs.
 * @param inWindow in the browser's own window, where pages can be hidden, not in a context of its own.
 */
async function openPage({ isClockPaused = false, inWindow = false } = {}): Promise<WatchingPage> {
  await network.heal();
  renewed = undefined;
  await using stack = new AsyncDisposableStack();
  const { eventId, devices } = await fixture.addEvent(2);
  const [first, second] = [deviceAt(devices, 0), deviceAt(devices, 1)];
  const { session } = fixture.addViewer(eventId);
  const windowContext = inWindow ? browser.contexts()[0] : undefined;
  const context = windowContext ?? stack.use(await browser.newContext());
  await context.addCookies([
    { name: 'directus_session_token', value: session, url: site.origin, httpOnly: true },
  ]);
  const page = stack.use(await context.newPage());
  const topic = `event:${eventId}`;
  if (isClockPaused) {
    await page.addInitScript('Math.random = () => 0.999');
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 60_000);
  }
  await watchInPage(page, site.origin, { url: network.through(gateway.wsUrl), topics: [topic], maxHz: 20 });
  await expectState(page, 'live');
  // Until the gateway has the new assignments, a fix of the device is not shown.
  await eventually(
    async () => {
      await fixture.publish(fixOf(first));
      return (await look(page)).held[topic]?.length === 1;
    },
    { timeoutMs: 15_000, intervalMs: 200 },
  );
  const resources = stack.move();
  return {
    page,
    topic,
    eventId,
    devices: [first, second],
    session,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function publishAll({ devices }: WatchingPage): Promise<Record<string, number>> {
  const fixAtMs = Date.now();
  for (const device of devices) await fixture.publish(fixOf(device, { fixAtMs }));
  return Object.fromEntries(devices.map(({ id }) => [id, fixAtMs]));
}

describe('the client in a browser, with the gateway', () => {
  test('connects with the cookie of the browser, becomes live and shows changes', async () => {
    await using watching = await openPage();
    await expectShown(watching.page, watching.topic, await publishAll(watching));
    const { states, problems, asked } = await look(watching.page);
    expect([states, problems, asked]).toEqual([['live'], [], []]);
  });

  test('resumes after a network cut, and gets only what it missed', async () => {
    await using watching = await openPage();
    const [first] = watching.devices;
    const fixes = await publishAll(watching);
    await expectShown(watching.page, watching.topic, fixes);
    const recoveredBefore = await gateway.metric('live_resumes_total', { outcome: 'recovered' });
    const { read: before } = await look(watching.page);
    network.cut();
    const missed = fixOf(first);
    await fixture.publish(missed);
    await expectShown(watching.page, watching.topic, { ...fixes, [first.id]: missed.fixAtMs });
    expect(await gateway.metric('live_resumes_total', { outcome: 'recovered' })).toBe(recoveredBefore + 1);
    const { read } = await look(watching.page);
    expect(read.slice(before.length)).toEqual([
      {
        topic: watching.topic,
        positions: [expect.objectContaining({ deviceId: first.id, ts: missed.fixAtMs })],
        removed: [],
      },
    ]);
  });

  test('reconnects at once when the browser is online again', async () => {
    // With the clock paused the client reconnects only when the test moves the clock or the browser comes online.
    await using watching = await openPage({ isClockPaused: true });
    const { page } = watching;
    await network.refuse();
    network.cut();
    await expectState(page, 'reconnecting');
    // Backoffs of 1 s and 2 s; the second failure makes the client check the session.
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
    await expectShown(page, watching.topic, await publishAll(watching));
  });

  test('detects a dead connection when its tab becomes visible, and resumes with what it missed', async () => {
    await using watching = await openPage({ inWindow: true });
    const { page, topic, devices } = watching;
    const fixes = await publishAll(watching);
    await expectShown(page, topic, fixes);
    await using front = await page.context().newPage();
    await eventually(async () => (await page.evaluate('document.visibilityState')) === 'hidden');
    // As after a sleep of the machine: the connection is open, but dead.
    network.halfOpen();
    const missed = fixOf(devices[0]);
    await fixture.publish(missed);
    expect((await look(page)).state).toBe('live');
    expect(front.url()).toBe('about:blank');
    await page.bringToFront();
    // The server would notice after 50 s, the client in the background after 35 s: now it pings and waits for 5 s.
    await expectShown(page, topic, { ...fixes, [devices[0].id]: missed.fixAtMs }, 25_000);
    expect((await look(page)).states).toEqual(['live', 'reconnecting', 'live']);
  });

  test('whose session ends is closed with 4001, refreshes the session and continues', async () => {
    await using watching = await openPage();
    const fixes = await publishAll(watching);
    await expectShown(watching.page, watching.topic, fixes);
    renewed = fixture.addViewer(watching.eventId).session;
    fixture.directus.expireSession(watching.session);
    await eventually(async () => (await look(watching.page)).asked.length === 2, { timeoutMs: 20_000 });
    await expectState(watching.page, 'live');
    expect((await look(watching.page)).asked).toEqual(['/users/me 401', '/auth/refresh 200']);
    await expectShown(watching.page, watching.topic, await publishAll(watching));
  });

  test('whose session cannot be refreshed stops, although it cannot see the status of the refusal', async () => {
    await using watching = await openPage();
    fixture.directus.expireSession(watching.session);
    await expectState(watching.page, 'unauthorised', 20_000);
    const { asked, endings } = await look(watching.page);
    expect(asked).toEqual(['/users/me 401', '/auth/refresh 401']);
    expect(endings).toEqual([{ reason: 'the session could not be refreshed' }]);
  });

  test('on a foreign origin is refused, and checks the session after two refusals', async () => {
    await using watching = await openPage();
    await using foreign = await startClientPage(fixture, () => undefined);
    const page = await watching.page.context().newPage();
    await watchInPage(page, foreign.origin, { url: gateway.wsUrl, topics: [watching.topic] });
    await eventually(async () => (await look(page)).asked.length > 0, { timeoutMs: 20_000 });
    const { asked, state } = await look(page);
    expect([asked[0], state]).toEqual(['/users/me 200', 'connecting']);
  });
});
