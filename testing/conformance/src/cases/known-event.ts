import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../client.ts';
import type { MessageOf, Client } from '../client.ts';
import { defineCase } from '../conformance-case.ts';
import type { ConformanceCase } from '../conformance-case.ts';
import type { Device, Capabilities, TestEvent, Target } from '../target.ts';

/** Opens a test event and waits until the server knows its devices. */
export async function openKnownEvent(
  target: Target & Pick<Capabilities, 'openTestEvent'>,
  deviceCount = 3,
): Promise<TestEvent> {
  const event = await target.openTestEvent({ deviceCount });
  try {
    await untilKnown(target, event, deviceCount);
  } catch (error) {
    await event[Symbol.asyncDispose]();
    throw error;
  }
  return event;
}

/** Defines a case with a test event whose devices the server knows. */
export function eventCase(
  title: string,
  check: (target: Target & Pick<Capabilities, 'openTestEvent'>, event: TestEvent) => Promise<void>,
  options?: Parameters<typeof defineCase>[3],
): ConformanceCase {
  const open = async (target: Parameters<typeof check>[0]): Promise<void> => {
    await using event = await openKnownEvent(target);
    await check(target, event);
  };
  return defineCase(title, ['openTestEvent'], open, options);
}

/** Waits until `subscribed` reports this many devices for the event. */
export async function untilKnown(
  target: Target,
  event: TestEvent,
  deviceCount: number,
  url = target.url,
): Promise<void> {
  const deadlineMs = performance.now() + target.refreshMs;
  for (;;) {
    using client = await connect(target, 'batched', event.session, { url });
    await client.send({ type: 'subscribe', topic: event.topic });
    const { devices } = await client.next('subscribed');
    if (devices === deviceCount) return;
    if (performance.now() > deadlineMs) throw new Error(`${devices} devices instead of ${deviceCount}`);
    await sleep(Math.min(1_000, target.refreshMs / 20));
  }
}

type Row = MessageOf<'batched', 'positions'>['rows'][number];

/** The newest row of each device that a client holds by the rules of docs/protocol.md. */
export function heldBy(
  client: Client<'batched'>,
  topic: string,
  heldBefore: ReadonlyMap<string, Row> = new Map(),
): ReadonlyMap<string, Row> {
  const held = new Map(heldBefore);
  for (const { message } of client.received) {
    if (!('topic' in message) || message.topic !== topic) continue;
    if (message.type === 'snapshot' && message.part === 0) held.clear();
    if (message.type === 'devices') for (const id of message.removed) held.delete(id);
    if (message.type === 'hidden') for (const id of message.devices) held.delete(id);
    if (message.type !== 'snapshot' && message.type !== 'positions') continue;
    for (const row of message.rows) {
      const [id, , , ts] = row;
      const older = held.get(id);
      if (older !== undefined && older[3] > ts) throw new Error('a position went back in time');
      held.set(id, row);
    }
  }
  return held;
}

export function isHeld(held: ReadonlyMap<string, Row>, device: Device, fixAtMs: number): boolean {
  return held.get(device.id)?.[3] === fixAtMs;
}

/** Waits until the client holds this fix as the device's position. */
export async function untilHeld(
  client: Client<'batched'>,
  event: TestEvent,
  device: Device,
  fixAtMs: number,
  timeoutMs?: number,
): Promise<void> {
  const holds = (): boolean => isHeld(heldBy(client, event.topic), device, fixAtMs);
  await client.until(`holds the position of device ${device.id}`, holds, timeoutMs);
}

/** The newest cursor that the client received for its only topic, and the epoch. */
export function resumePoint(client: Client<'batched'>): { readonly cursor: string; readonly epoch: string } {
  let cursor: string | undefined;
  let epoch: string | undefined;
  for (const { message } of client.received) {
    if (message.type === 'subscribed') epoch = message.epoch;
    if ('cursor' in message && message.cursor !== undefined) cursor = message.cursor;
  }
  if (cursor === undefined || epoch === undefined) throw new Error('no cursor was received');
  return { cursor, epoch };
}

/** Subscribes and waits for the end of the snapshot. */
export async function subscribeBatched(
  target: Target,
  event: TestEvent,
  view: object = {},
  url = target.url,
): Promise<Client<'batched'>> {
  const client = await connect(target, 'batched', event.session, { url });
  await client.send({ type: 'subscribe', topic: event.topic, maxHz: 20, ...view });
  const { recovered } = await client.next('subscribed');
  if (!recovered) await client.next('snapshot', ({ last }) => last === true);
  return client;
}

export function deviceAt(event: TestEvent, at: number): Device {
  const device = event.devices[at];
  if (device === undefined) throw new Error('the test event has too few devices');
  return device;
}
