import { isInside } from '../fanout/bbox.ts';
import type { DeviceIndex } from '../fanout/device-index.ts';
import { encodeDevices } from '../protocol/batched-dialect.ts';
import { encodeReply } from '../protocol/replies.ts';
import { missedSince } from './missed-devices.ts';
import type { RegisterContext, SubscribeRequest } from './subscribe-request.ts';
import { evaluateResume } from './resume.ts';
import type { Subscription } from './subscription.ts';

/** Replies `subscribed`. If the client is resumed, the devices it missed become unsent, otherwise all devices. */
export function replyBatched(
  subscription: Subscription,
  { topic, id, recipient, resumeFrom }: SubscribeRequest,
  devices: DeviceIndex,
  isDegraded: boolean,
  { timeline, onResume }: RegisterContext,
): void {
  const resume = evaluateResume(resumeFrom, timeline, devices.hash, subscription.bboxHash);
  if (resume.outcome !== 'none') onResume(resume.outcome);
  recipient.reply(
    encodeReply({
      type: 'subscribed',
      topic,
      id,
      epoch: timeline.epoch,
      recovered: resume.outcome === 'recovered',
      devices: devices.size,
      ...(isDegraded && { degraded: true }),
    }),
  );
  if (resume.outcome === 'recovered') resumeSubscription(subscription, resume.appliedIds, devices);
  else subscription.startSnapshot(devices.indexes());
}

function resumeSubscription(
  subscription: Subscription,
  appliedIds: readonly string[],
  devices: DeviceIndex,
): void {
  const { topic, recipient, bbox, shown } = subscription;
  const { unsent, invalidIds } = missedSince(appliedIds, devices);
  if (invalidIds.length > 0) {
    // `devices` invalidates the client's cursor.
    subscription.needsCursor = true;
    for (const frame of encodeDevices(topic, invalidIds, invalidIds)) recipient.reply(frame);
  }
  subscription.unsent = unsent;
  if (bbox === undefined || shown === undefined) return;
  for (const index of devices.indexes()) {
    const fix = devices.at(index)?.held.fix;
    // A missed device may have been inside when the client saw it. If it is outside now, the client must be told.
    if (unsent.has(index) || (fix !== undefined && isInside(bbox, fix.latitude, fix.longitude)))
      shown.add(index);
  }
}
