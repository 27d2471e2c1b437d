import { eventually } from '@app/test-kit/eventually';
import { startNginx } from '@app/test-kit/nginx';
import { expect, test } from 'vitest';
import { fixOf, openFixture } from './support/open-fixture.ts';
import { startClients } from './support/start-clients.ts';
import { testOrigin } from './support/start-gateway.ts';
import { connect } from './support/viewer.ts';

const viewers = 2_000;
const drainMs = 8_000;

test(
  'when one of two gateways behind nginx stops under load, all viewers end with the newest positions at the other',
  { timeout: 120_000 },
  async () => {
    await using fixture = await openFixture();
    const { eventId, devices } = await fixture.addEvent(4);
    const env = {
      LIVE_TRUSTED_PROXIES: '127.0.0.1',
      LIVE_MAX_CONNECTIONS_PER_USER: String(viewers),
      LIVE_WS_DRAIN_NOTICE_MS: '1000',
      LIVE_WS_DRAIN_TIMEOUT_MS: String(drainMs),
    };
    const remaining = await fixture.start({ instanceId: 'remaining', env });
    const stopping = await fixture.start({ instanceId: 'stopping', env });
    await Promise.all([remaining.ready(), stopping.ready()]);
    await using nginx = await startNginx({
      upstreamPorts: [remaining, stopping].map(({ wsUrl }) => Number(new URL(wsUrl).port)),
    });

    // One fix per second and device.
    let newest: Record<string, number> = {};
    using feed = feedEvery(1_000, async () => {
      const fixes = devices.map((device) => fixOf(device));
      for (const fix of fixes) await fixture.publish(fix);
      newest = Object.fromEntries(devices.map(({ id }, at) => [id, fixes[at]?.fixAtMs ?? 0]));
    });

    const url = `ws://127.0.0.1:${nginx.port}/ws-live`;
    await using clients = startClients({
      url,
      origin: testOrigin,
      topic: `event:${eventId}`,
      viewers,
      sessions: Array.from({ length: 20 }, () => fixture.addViewer(eventId).session),
    });
    await eventually(async () => (await clients.report({})).watching === viewers, {
      timeoutMs: 60_000,
      intervalMs: 200,
    });
    const moved = await stopping.metric('live_connections');
    expect(moved).toBeGreaterThan(viewers / 4);

    const exitCode = stopping.stop();
    await eventually(async () => (await fetch(`${stopping.opsUrl}/readyz`)).status === 503);
    // New viewers are admitted, although nginx at first sends every second one to the stopping gateway.
    const { session } = fixture.addViewer(eventId);
    let admitted = 0;
    let hasStopped = false;
    const remainingCounts = new Set<number>();
    void exitCode.then(() => (hasStopped = true));
    await eventually(
      async () => {
        using viewer = await connect(url, { session });
        admitted += viewer.socket.readyState === viewer.socket.OPEN ? 1 : 0;
        remainingCounts.add(await stopping.metric('live_drain_remaining').catch(() => 0));
        return hasStopped;
      },
      { timeoutMs: 60_000, intervalMs: 100 },
    );
    expect(await exitCode).toBe(0);
    await eventually(async () => (await clients.report({})).watching === viewers, {
      timeoutMs: 30_000,
      intervalMs: 200,
    });
    await feed.stop();
    const end = await eventually(
      async () => {
        const report = await clients.report(newest);
        return report.upToDate === viewers ? report : undefined;
      },
      { timeoutMs: 20_000, intervalMs: 200 },
    );

    // Each viewer of the stopped gateway was asked to reconnect, did so once and resumed at the other gateway. No viewer
    // was refused or was sent an older fix.
    expect(end).toMatchObject({
      reconnectMessages: moved,
      reconnects: moved,
      resumes: moved,
      closes: { 1012: moved },
      refusals: {},
      olderRows: 0,
    });
    await expect.poll(() => remaining.metric('live_connections'), { timeout: 10_000 }).toBe(viewers);
    expect(await remaining.metric('live_dropped_frames_total')).toBe(0);
    const requests = await nginx.requests();
    expect(requests.length).toBeGreaterThanOrEqual(moved + admitted);
    expect(requests.filter(({ status }) => status !== 101)).toEqual([]);
    expect(requests.map(({ upstreamStatuses }) => upstreamStatuses)).toContainEqual([503, 101]);
    // Closed one after the other over the window, not all at once.
    expect(remainingCounts.size).toBeGreaterThan(3);
  },
);

function feedEvery(intervalMs: number, publish: () => Promise<void>) {
  let publishing: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    publishing = publishing.then(publish);
  }, intervalMs);
  return {
    /** Resolves when the last fix is published. */
    stop: async (): Promise<void> => {
      clearInterval(timer);
      await publishing;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
