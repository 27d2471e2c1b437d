import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../peer.ts';
import type { MessageOf, Peer } from '../peer.ts';
import type { Device, Means, Stage, Target } from '../target.ts';

type Staged = Target & Pick<Means, 'openStage'>;

/** A stage whose devices the server has heard of: it says how many an event has. */
export async function openKnownStage(target: Staged, deviceCount = 3): Promise<Stage> {
  const stage = await target.openStage({ deviceCount });
  try {
    await untilKnown(target, stage, deviceCount);
  } catch (error) {
    await stage[Symbol.asyncDispose]();
    throw error;
  }
  return stage;
}

export async function untilKnown(
  target: Target,
  stage: Stage,
  deviceCount: number,
  url = target.url,
): Promise<void> {
  const deadlineMs = performance.now() + target.refreshMs;
  for (;;) {
    using peer = await connect(target, 'batched', stage.session, { url });
    await peer.say({ type: 'subscribe', topic: stage.topic });
    const { devices } = await peer.next('subscribed');
    if (devices === deviceCount) return;
    if (performance.now() > deadlineMs) throw new Error(`${devices} devices instead of ${deviceCount}`);
    await sleep(Math.min(1_000, target.refreshMs / 20));
  }
}

type Row = MessageOf<'batched', 'positions'>['rows'][number];

/** What a client holds that has heard all this, as docs/protocol.md says it: by device, the newest row. */
export function heldBy(
  peer: Peer<'batched'>,
  topic: string,
  heldBefore: ReadonlyMap<string, Row> = new Map(),
): ReadonlyMap<string, Row> {
  const held = new Map(heldBefore);
  for (const { message } of peer.heard) {
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

/** Where a client can go on: the newest cursor that it was given for its only topic, and the epoch. */
export function resumePoint(peer: Peer<'batched'>): { readonly cursor: string; readonly epoch: string } {
  let cursor: string | undefined;
  let epoch: string | undefined;
  for (const { message } of peer.heard) {
    if (message.type === 'subscribed') epoch = message.epoch;
    if ('cursor' in message && message.cursor !== undefined) cursor = message.cursor;
  }
  if (cursor === undefined || epoch === undefined) throw new Error('there was no cursor');
  return { cursor, epoch };
}

/** Subscribes and waits for the end of the snapshot. */
export async function subscribeBatched(
  target: Target,
  stage: Stage,
  wish: object = {},
  url = target.url,
): Promise<Peer<'batched'>> {
  const peer = await connect(target, 'batched', stage.session, { url });
  await peer.say({ type: 'subscribe', topic: stage.topic, maxHz: 20, ...wish });
  const { recovered } = await peer.next('subscribed');
  if (!recovered) await peer.next('snapshot', ({ last }) => last === true);
  return peer;
}

export function deviceAt(stage: Stage, at: number): Device {
  const device = stage.devices[at];
  if (device === undefined) throw new Error('the stage has too few devices');
  return device;
}
