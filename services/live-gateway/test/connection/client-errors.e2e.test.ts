import { eventually } from '@app/test-kit/eventually';
import { expect, test } from 'vitest';
import { deviceAt, fixOf, openFixture } from '../support/open-fixture.ts';
import type { PlantedBugs } from '../support/planted-bugs.ts';
import { connect, subscribe, tryConnect } from '../support/viewer.ts';
import type { Viewer } from '../support/viewer.ts';

test(
  'an unexpected error while serving one client closes its connection with 1011, and nobody else is affected',
  { timeout: 120_000 },
  async () => {
    await using fixture = await openFixture();
    const { eventId, devices } = await fixture.addEvent(1);
    const [rechecked, unregistered] = await Promise.all([fixture.addEvent(0), fixture.addEvent(0)]);
    const events = [eventId, rechecked.eventId, unregistered.eventId];
    const viewers = {
      upgrade: fixture.addViewer(...events),
      open: fixture.addViewer(...events),
      reply: fixture.addViewer(...events),
      pong: fixture.addViewer(...events),
      reauthorise: fixture.addViewer(...events),
      register: fixture.addViewer(...events),
      write: fixture.addViewer(...events),
      sweep: fixture.addViewer(...events),
    };
    const bugs: PlantedBugs = {
      upgrade: viewers.upgrade.session,
      open: viewers.open.userId,
      reply: viewers.reply.userId,
      pong: viewers.pong.userId,
      reauthorise: rechecked.eventId,
      register: unregistered.eventId,
      write: viewers.write.userId,
      sweep: viewers.sweep.userId,
    };
    const gateway = await fixture.start({
      preload: new URL('../support/planted-bugs.ts', import.meta.url),
      env: {
        PLANTED_BUGS: JSON.stringify(bugs),
        LIVE_WS_PING_INTERVAL_MS: '1000',
        REAUTHORIZE_INTERVAL_MS: '300',
      },
    });
    await gateway.ready();
    using bystander = await subscribe(gateway, fixture, eventId);
    await bystander.next('subscribed');

    expect(await tryConnect(gateway.wsUrl, viewers.upgrade)).toMatchObject({ status: 500 });
    using stack = new DisposableStack();
    const failWith = async (viewer: keyof typeof viewers, message?: object): Promise<number> => {
      const client: Viewer = stack.use(await connect(gateway.wsUrl, viewers[viewer]));
      if (message !== undefined) client.send(message);
      if (viewer === 'write') {
        await client.next('subscribed');
        await fixture.publish(fixOf(deviceAt(devices)));
      }
      return client.closed(10_000);
    };
    expect(await failWith('open')).toBe(1011);
    expect(await failWith('reply', { type: 'ping' })).toBe(1011);
    expect(await failWith('register', subscribeTo(unregistered.eventId))).toBe(1011);
    expect(await failWith('write', subscribeTo(eventId))).toBe(1011);
    expect(await failWith('sweep')).toBe(1011);
    expect(await failWith('pong')).toBe(1011);
    expect(await failWith('reauthorise', subscribeTo(rechecked.eventId))).toBe(1011);

    // The bystander is served as before, and nothing of the failed clients is left.
    const fix = fixOf(deviceAt(devices), { latitude: 47 });
    await fixture.publish(fix);
    await bystander.next('position', ({ ts }) => ts === fix.fixAtMs);
    await eventually(async () => (await gateway.metric('live_connections')) === 1);
    expect(await gateway.metric('live_subscriptions')).toBe(1);
    const counts: Record<string, number> = {};
    for (const operation of ['upgrade', 'open', 'receive', 'write', 'sweep', 'reauthorise', 'close'])
      counts[operation] = await gateway.metric('live_client_errors_total', { operation });
    expect(counts).toEqual({ upgrade: 1, open: 1, receive: 3, write: 1, sweep: 1, reauthorise: 1, close: 0 });
    expect(await gateway.metric('live_upgrades_total', { result: 'internal' })).toBe(1);
    expect(await gateway.metric('live_closes_total', { code: '1011' })).toBe(7);

    // One line per error, with ids and without the session.
    const lines = gateway.log.filter(({ level }) => level === 'error');
    expect(lines.map(({ operation, user }) => ({ operation, user }))).toEqual(
      [
        { operation: 'upgrade' },
        { operation: 'open', user: viewers.open.userId },
        { operation: 'receive', user: viewers.reply.userId },
        { operation: 'receive', user: viewers.register.userId },
        { operation: 'write', user: viewers.write.userId },
        { operation: 'sweep', user: viewers.sweep.userId },
        { operation: 'receive', user: viewers.pong.userId },
        { operation: 'reauthorise', user: viewers.reauthorise.userId },
      ].map(({ operation, user }) => ({ operation, user })),
    );
    expect(
      lines.every(({ operation, connection }) => operation === 'upgrade' || typeof connection === 'string'),
    ).toBe(true);
    expect(gateway.output()).not.toContain('session.');
    expect(await gateway.stop()).toBe(0);
  },
);

function subscribeTo(eventId: string): object {
  return { type: 'subscribe', topic: `event:${eventId}`, maxHz: 20 };
}
