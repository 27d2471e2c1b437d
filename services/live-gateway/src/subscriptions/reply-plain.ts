import { maxSnapshotFrameBytes } from '@app/shared/protocol';
import type { DeviceIndex } from '../fanout/device-index.ts';
import { DeviceSet } from '../fanout/device-set.ts';
import { visibleFix } from '../fanout/visible-fix.ts';
import { encodePlainSubscribed } from '../protocol/plain-dialect.ts';
import type { RegisterContext, SubscribeRequest } from './subscribe-request.ts';
import type { Subscription } from './subscription.ts';

/** Replies with the snapshot. Devices that do not fit into its frame become unsent. */
export function replyPlain(
  subscription: Subscription,
  { topic, id, recipient }: SubscribeRequest,
  devices: DeviceIndex,
  isDegraded: boolean,
  context: RegisterContext,
): void {
  const nowMs = context.nowMs();
  const unsent = new DeviceSet();
  const fixes = Array.from(devices.indexes()).flatMap((index) => {
    const fix = visibleFix(subscription, devices.at(index), context.latest, nowMs);
    if (fix === undefined) return [];
    unsent.add(index);
    return fix;
  });
  subscription.unsent = unsent;
  const snapshot = encodePlainSubscribed({ topic, id, fixes, isDegraded, maxBytes: maxSnapshotFrameBytes });
  recipient.reply(snapshot.frame);
  context.onSnapshot(snapshot.included.length);
  for (const { deviceId } of snapshot.included) {
    const index = devices.indexOf(deviceId);
    if (index !== undefined) subscription.noteSent(index);
  }
}
