import { expectShown, expectState, look, watchInPage } from '@app/live-client/testing/client-page';
import { startChromium } from '@app/test-kit/chromium';
import { eventually } from '@app/test-kit/eventually';
import { expect, test } from 'vitest';
import { startClientPage } from './support/client-page-server.ts';
import { deviceAt, fixOf, openFixture } from './support/open-fixture.ts';

test(
  'a page hands its refreshed HttpOnly session over to the open connection, across origins, without a close',
  { timeout: 120_000 },
  async () => {
    await using browser = await startChromium();
    await using fixture = await openFixture();
    fixture.directus.refreshGraceMs = 0;
    const { eventId, devices } = await fixture.addEvent(1);
    const topic = `event:${eventId}`;
    let { session } = fixture.addViewer(eventId);
    await using site = await startClientPage(fixture, () => {
      session = fixture.directus.renewSession(session);
      return session;
    });
    // Another port than the site: another origin, with the same cookies.
    const gateway = await fixture.start({
      env: {
        LIVE_ALLOWED_ORIGINS: site.origin,
        LIVE_TICKET_KEY: 'a key that all replicas of this test share',
        REAUTHORIZE_INTERVAL_MS: '500',
        AUTH_CACHE_TTL_MS: '0',
        AUTHZ_CACHE_TTL_MS: '0',
      },
    });
    await gateway.ready();
    await using context = await browser.newContext();
    await context.addCookies([
      { name: 'directus_session_token', value: session, url: site.origin, httpOnly: true },
    ]);
    await using page = await context.newPage();
    await watchInPage(page, site.origin, { url: gateway.wsUrl, topics: [topic], maxHz: 20 });
    await expectState(page, 'live');

    const refreshInPage = `fetch('/auth/refresh', { method: 'POST' }).then(() => undefined)`;
    // The page tells the client; then a page of another tab refreshes, which this one does not notice.
    for (const script of [`${refreshInPage}.then(() => live.sessionRefreshed())`, refreshInPage]) {
      const accepted = { outcome: 'accepted' };
      const before = await gateway.metric('live_reauthentications_total', accepted);
      await page.evaluate(script);
      await eventually(
        async () => (await gateway.metric('live_reauthentications_total', accepted)) > before,
        {
          timeoutMs: 10_000,
        },
      );
    }
    const fix = fixOf(deviceAt(devices));
    await fixture.publish(fix);
    await expectShown(page, topic, { [deviceAt(devices).id]: fix.fixAtMs });
    const { states, problems, asked } = await look(page);
    expect([states, problems, asked]).toEqual([['live'], [], []]);
  },
);
