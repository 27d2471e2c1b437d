import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedEvent } from '@app/test-kit/directus-tables';
import { eventually } from '@app/test-kit/eventually';
import { defaultMinDeflatedRecipients } from '../../src/fanout/fan-out.ts';
import { fixOf, openFixture } from '../support/open-fixture.ts';
import type { Fixture, TestDevice } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connectBatched } from '../support/viewer.ts';

let fixture: Fixture;
let gateway: RunningGateway;

beforeAll(async () => {
  fixture = await openFixture();
  gateway = await fixture.start({ env: { LIVE_MAX_CONNECTIONS_PER_USER: '1000' } });
  await gateway.ready();
});

afterAll(() => fixture[Symbol.asyncDispose]());

const enough = defaultMinDeflatedRecipients;
const boxed = { deflate: true, bbox: [-180, -90, 180, 90] };
const startedAtMs = Date.now() - 60_000;
const timeoutMs = 20_000;

/** An event with two devices, its viewers once they are live, and what happens to them. */
async function watch(
  { wsUrl }: RunningGateway,
  stack: DisposableStack,
  views: readonly { readonly deflate?: boolean; readonly bbox?: readonly number[] }[],
) {
  const { eventId, devices } = await fixture.addEvent(2);
  const topic = `event:${eventId}`;
  const { session } = fixture.addViewer(eventId);
  await eventually(
    async () => {
      using viewer = await connectBatched(wsUrl, { session });
      viewer.send({ type: 'subscribe', topic });
      return (await viewer.next('subscribed', undefined, timeoutMs)).devices === 2 ? true : undefined;
    },
    { timeoutMs },
  );
  const viewers = await Promise.all(
    views.map(async (view) => {
      const viewer = stack.use(await connectBatched(wsUrl, { session }));
      viewer.send({ type: 'subscribe', topic, maxHz: 20, ...view });
      await viewer.next('snapshot', ({ last }) => last === true, timeoutMs);
      return viewer;
    }),
  );
  const publishAt = async (fixAtMs: number, ...moved: readonly TestDevice[]): Promise<void> => {
    for (const device of moved) await fixture.publish(fixOf(device, { fixAtMs }));
    const isLast = ({ rows }: { rows: readonly (readonly unknown[])[] }): boolean =>
      rows.some(([id, , , ts]) => id === moved.at(-1)?.id && ts === fixAtMs);
    for (const viewer of viewers) await viewer.next('positions', isLast, timeoutMs);
  };
  return {
    viewers,
    move: (fixAtMs: number) => publishAt(fixAtMs, ...devices),
    addDevice: async (fixAtMs: number) => {
      const [device] = (await fixture.addEvent(1)).devices;
      if (device === undefined) throw new Error('no device');
      await seedEvent(fixture.sql, { eventId, devices: [device] });
      for (const viewer of viewers)
        await viewer.next('devices', ({ added }) => added.includes(device.id), timeoutMs);
      await publishAt(fixAtMs, device);
    },
  };
}

describe('deflated frames', { timeout: 120_000 }, () => {
  test('are the text frames of the others, sent to whom asked for them, behind a dictionary of the devices', async () => {
    using stack = new DisposableStack();
    const views = [...Array.from({ length: enough }, () => ({ deflate: true })), {}, boxed];
    const { viewers, move, addDevice } = await watch(gateway, stack, views);
    for (const seconds of [1, 2, 3]) await move(startedAtMs + seconds * 1000);
    // A device that is added gets into the next dictionary.
    await addDevice(startedAtMs + 9000);
    const [text, withBox] = viewers.slice(enough);
    expect([text?.deflated, withBox?.deflated]).toEqual([[], []]);
    const sent = text?.messages.filter(({ type }) => type === 'positions') ?? [];
    for (const { deflated, messages } of viewers.slice(0, enough)) {
      expect(deflated.length).toBeGreaterThanOrEqual(4);
      expect(deflated.map(({ message }) => message)).toEqual(
        messages.filter(({ type }) => type === 'positions').slice(-deflated.length),
      );
      expect(sent).toEqual(expect.arrayContaining(deflated.map(({ message }) => message)));
    }
  });

  test.each([
    ['with LIVE_COMPRESSION=off', 'off', enough],
    ['for too few clients', 'on', enough - 1],
  ])('are not sent %s', async (_when, setting, count) => {
    const other =
      setting === 'on'
        ? gateway
        : await fixture.start({
            instanceId: 'other',
            env: { LIVE_COMPRESSION: setting, LIVE_MAX_CONNECTIONS_PER_USER: '1000' },
          });
    await other.ready();
    using stack = new DisposableStack();
    const views = Array.from({ length: count }, () => ({ deflate: true }));
    const { viewers, move } = await watch(other, stack, views);
    await move(startedAtMs);
    expect(viewers.flatMap(({ deflated }) => deflated)).toEqual([]);
  });
});
