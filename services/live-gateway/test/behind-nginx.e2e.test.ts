import { eventually } from '@app/test-kit/eventually';
import { startNginx } from '@app/test-kit/nginx';
import { expect, test } from 'vitest';
import { fixOf, openFixture } from './support/open-fixture.ts';
import { startClients } from './support/start-clients.ts';
import type { ClientsReport } from './support/start-clients.ts';
import { testOrigin } from './support/start-gateway.ts';
import { connect } from './support/viewer.ts';

const viewers = 2_000;
const crowds = 2;
const windowMs = 8_000;

test(
  'two gateways behind nginx, one told to stop under load: all viewers end with the right positions at the other one',
  { timeout: 120_000 },
  async () => {
    await using fixture = await openFixture();
    const { eventId, devices } = await fixture.addEvent(4);
    const env = {
      LIVE_TRUSTED_PROXIES: '127.0.0.1',
      LIVE_MAX_CONNECTIONS_PER_USER: String(viewers),
      LIVE_WS_DRAIN_NOTICE_MS: '1000',
      LIVE_WS_DRAIN_TIMEOUT_MS: String(windowMs),
    };
    const staying = await fixture.start({ instanceId: 'staying', env });
    const leaving = await fixture.start({ instanceId: 'leaving', env });
    await Promise.all([staying.ready(), leaving.ready()]);
    await using nginx = await startNginx({
      upstreamPorts: [staying, leaving].map(({ wsUrl }) => Number(new URL(wsUrl).port)),
    });

    // A fix a second of each device, for as long as the test runs.
    let newest: Record<string, number> = {};
    using feed = feedEvery(1_000, async () => {
      const fixes = devices.map((device) => fixOf(device));
      for (const fix of fixes) await fixture.publish(fix);
      newest = Object.fromEntries(devices.map(({ id }, at) => [id, fixes[at]?.fixAtMs ?? 0]));
    });

    await using crowd = startCrowds(
      nginx.port,
      eventId,
      Array.from({ length: 20 }, () => fixture.addViewer(eventId).session),
    );
    await eventually(async () => (await crowd.report({})).watching === viewers, {
      timeoutMs: 60_000,
      intervalMs: 200,
    });
    const leavers = await leaving.metric('live_connections');
    expect(leavers).toBeGreaterThan(viewers / 4);

    const toldAtMs = Date.now();
    const exitCode = leaving.stop();
    await eventually(async () => (await fetch(`${leaving.opsUrl}/readyz`)).status === 503);
    // Whoever comes now is let in, though every second one is sent to the gateway that leaves, at first.
    const { session } = fixture.addViewer(eventId);
    let newcomers = 0;
    let hasLeft = false;
    void exitCode.then(() => (hasLeft = true));
    await eventually(
      async () => {
        using newcomer = await connect(`ws://127.0.0.1:${nginx.port}/ws-live`, { session });
        newcomers += newcomer.socket.readyState === newcomer.socket.OPEN ? 1 : 0;
        return hasLeft;
      },
      { timeoutMs: 60_000, intervalMs: 100 },
    );
    expect(await exitCode).toBe(0);
    await eventually(async () => (await crowd.report({})).watching === viewers, {
      timeoutMs: 30_000,
      intervalMs: 200,
    });
    await feed.stop();
    const end = await eventually(
      async () => {
        const report = await crowd.report(newest);
        return report.right === viewers ? report : undefined;
      },
      { timeoutMs: 20_000, intervalMs: 200 },
    );

    // Everybody was told to come back, did so once, resumed at the other gateway where it had been at this one, and
    // nobody was ever refused or saw a device go back.
    expect(end).toMatchObject({
      farewells: leavers,
      resumes: leavers,
      closes: { 1012: leavers },
      refusals: {},
      stepsBack: 0,
    });
    expect(end.returnedAtMs).toHaveLength(leavers);
    await expect.poll(() => staying.metric('live_connections'), { timeout: 10_000 }).toBe(viewers);
    expect(await staying.metric('live_dropped_frames_total')).toBe(0);
    const requests = await nginx.requests();
    expect(requests.length).toBeGreaterThanOrEqual(leavers + newcomers);
    expect(requests.filter(({ status }) => status !== 101)).toEqual([]);
    expect(requests.map(({ upstreamStatuses }) => upstreamStatuses)).toContainEqual([503, 101]);

    // Spread over the window: even after a stall of a second or two not half of them in a quarter of it.
    const sinceToldMs = end.returnedAtMs.map((atMs) => atMs - toldAtMs).toSorted((a, b) => a - b);
    const sharePerQuarter = sinceToldMs.map(
      (fromMs) => sinceToldMs.filter((ms) => ms >= fromMs && ms < fromMs + windowMs / 4).length / leavers,
    );
    expect(Math.max(...sharePerQuarter)).toBeLessThan(0.5);
  },
);

/** Two processes of viewers, asked as one. */
function startCrowds(port: number, eventId: string, sessions: readonly string[]) {
  const started = Array.from({ length: crowds }, () =>
    startClients({
      url: `ws://127.0.0.1:${port}/ws-live`,
      origin: testOrigin,
      topic: `event:${eventId}`,
      viewers: viewers / crowds,
      sessions,
    }),
  );
  return {
    report: async (expected: Readonly<Record<string, number>>): Promise<ClientsReport> => {
      const reports = await Promise.all(started.map((crowd) => crowd.report(expected)));
      const sum = (of: (report: ClientsReport) => number): number =>
        reports.reduce((total, report) => total + of(report), 0);
      const sums = (
        of: (report: ClientsReport) => Readonly<Record<string, number>>,
      ): Record<string, number> => {
        const keys = new Set(reports.flatMap((report) => Object.keys(of(report))));
        return Object.fromEntries([...keys].map((key) => [key, sum((report) => of(report)[key] ?? 0)]));
      };
      return {
        watching: sum(({ watching }) => watching),
        right: sum(({ right }) => right),
        stepsBack: sum(({ stepsBack }) => stepsBack),
        farewells: sum(({ farewells }) => farewells),
        resumes: sum(({ resumes }) => resumes),
        closes: sums(({ closes }) => closes),
        refusals: sums(({ refusals }) => refusals),
        returnedAtMs: reports.flatMap(({ returnedAtMs }) => returnedAtMs),
      };
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(started.map((crowd) => crowd[Symbol.asyncDispose]()));
    },
  };
}

function feedEvery(intervalMs: number, publish: () => Promise<void>) {
  let publishing: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    publishing = publishing.then(publish);
  }, intervalMs);
  return {
    /** Resolves when the last one is published. */
    stop: async (): Promise<void> => {
      clearInterval(timer);
      await publishing;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
