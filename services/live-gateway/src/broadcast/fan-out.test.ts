import { setImmediate as letOthersRun } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { plainServerMessage } from '@app/shared/messages';
import { eventTopic } from '@app/shared/topics';
import { indexAssignments } from '../assignment/assignments.ts';
import type { AssignmentRow } from '../assignment/assignments.ts';
import { LatestFixes } from '../latest/latest-fixes.ts';
import { registerSubscription } from '../subscription/register-subscription.ts';
import { Registry } from '../subscription/registry.ts';
import type { Recipient, Subscription } from '../subscription/subscription.ts';
import { FanOut } from './fan-out.ts';

const eventIds = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'] as const;
const imeis = ['imei-1', 'imei-2', 'imei-3'] as const;

/** Every assignment there can be, one bit for each event and device. */
function assignmentsOf(bits: number): readonly AssignmentRow[] {
  return eventIds.flatMap((eventId, e) =>
    imeis.flatMap((imei, d) =>
      (bits >> (e * imeis.length + d)) & 1 ? [{ eventId, deviceId: `id of ${imei}`, imei }] : [],
    ),
  );
}

/** A client that takes frames as long as it has appetite, and keeps what it was told. */
class Eater implements Recipient {
  readonly held = new Map<string, number>();
  readonly stepsBack: string[] = [];
  appetite = Number.POSITIVE_INFINITY;

  reply(text: string): void {
    this.#take(text);
  }

  canTake(): boolean {
    return this.appetite > 0;
  }

  writeRows(frames: readonly Uint8Array[]): number {
    const eaten = frames.slice(0, this.appetite);
    this.appetite -= eaten.length;
    for (const frame of eaten) this.#take(Buffer.from(frame).toString());
    return eaten.length;
  }

  #take(text: string): void {
    const message = plainServerMessage.parse(JSON.parse(text));
    const rows =
      message.type === 'subscribed' ? message.snapshot : message.type === 'position' ? [message] : [];
    for (const { deviceId, ts } of rows) {
      if (ts < (this.held.get(deviceId) ?? 0)) this.stepsBack.push(`${deviceId} ${ts}`);
      this.held.set(deviceId, ts);
    }
  }
}

const nowMs = (): number => 1000;

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('fix' as const), device: fc.nat(2), at: fc.nat(40) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('tick' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('slice' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('subscribe' as const),
      event: fc.nat(1),
      maxHz: fc.constantFrom(8, 2),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unsubscribe' as const), who: fc.nat(5) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('starve' as const), who: fc.nat(5), appetite: fc.nat(2) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reassign' as const), bits: fc.nat(63) }) },
);

describe('the fan-out', () => {
  test('takes no client back in time, and at rest leaves each with the newest fix of every device of its event', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(63), fc.array(step, { maxLength: 60 }), async (bits, steps) => {
        const latest = new LatestFixes(Number.POSITIVE_INFINITY);
        const registry = new Registry(() => undefined);
        const meter = {
          onTick: () => undefined,
          onPositionsSent: () => undefined,
          onDelivered: () => undefined,
        };
        const fanOut = new FanOut({ registry, latest, meter, nowMs, sliceSockets: 1 });
        const context = { registry, latest, tickMs: 125, nowMs, onSnapshot: () => undefined };
        const subscribed: { subscription: Subscription; eater: Eater }[] = [];
        let ticking = Promise.resolve();
        let isTicking = false;
        const reassign = (next: number): Promise<void> =>
          fanOut.betweenTicks(() => void registry.reassign(indexAssignments(assignmentsOf(next)), 0));
        await reassign(bits);

        for (const s of steps) {
          const chosen = 'who' in s ? subscribed[s.who % Math.max(1, subscribed.length)] : undefined;
          if (s.do === 'fix') {
            const deviceId = imeis[s.device] ?? '';
            const isNewest = latest.offer({
              deviceId,
              fixAtMs: s.at,
              latitude: 1,
              longitude: 2,
              altitudeM: 3,
              courseDeg: 4,
              speedKmh: 5,
              arrivedAtMs: undefined,
            });
            if (isNewest) registry.markChanged(deviceId);
          } else if (s.do === 'tick' && !isTicking) {
            isTicking = true;
            ticking = fanOut.tick().finally(() => {
              isTicking = false;
            });
          } else if (s.do === 'slice') {
            await letOthersRun();
          } else if (s.do === 'subscribe') {
            const eater = new Eater();
            const eventId = eventIds[s.event] ?? '';
            const wish = {
              eventId,
              topic: eventTopic(eventId),
              id: undefined,
              maxHz: s.maxHz,
              recipient: eater,
            };
            subscribed.push({ subscription: registerSubscription(wish, context), eater });
          } else if (s.do === 'unsubscribe' && chosen !== undefined) {
            registry.unregister(chosen.subscription);
            subscribed.splice(subscribed.indexOf(chosen), 1);
          } else if (s.do === 'starve' && chosen !== undefined) {
            chosen.eater.appetite = s.appetite;
          } else if (s.do === 'reassign') {
            // Not waited for: it takes its turn between two ticks by itself.
            void reassign(s.bits);
          }
        }

        await ticking;
        for (const { eater } of subscribed) eater.appetite = Number.POSITIVE_INFINITY;
        for (let rest = 0; rest < 32; rest += 1) await fanOut.tick();
        expect(registry.subscriptionCount).toBe(subscribed.length);
        for (const { subscription, eater } of subscribed) {
          expect(eater.stepsBack).toEqual([]);
          const wanted = [...registry.devicesOf(subscription.eventId).keys()].flatMap((imei) => {
            const fixAtMs = latest.get(imei)?.fixAtMs;
            return fixAtMs === undefined ? [] : [[imei, fixAtMs] as const];
          });
          expect(Object.fromEntries(eater.held)).toMatchObject(Object.fromEntries(wanted));
        }
      }),
      { numRuns: 300 },
    );
  });
});
