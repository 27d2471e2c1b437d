import { rateClassFor } from '../fanout/rate-class.ts';
import { replyBatched } from './reply-batched.ts';
import { replyPlain } from './reply-plain.ts';
import type { RegisterContext, SubscribeRequest } from './subscribe-request.ts';
import { Subscription } from './subscription.ts';

/**
 * Replies to an authorised `subscribe`, marks the devices of the snapshot, or those missed since the cursor, as
 * unsent, and registers the subscription. The fan-out writes the unsent devices, each read when it is written.
 *
 * One synchronous block, so there is no gap between snapshot and live: entries applied before it are in the unsent
 * devices, entries applied after it are marked for the subscription.
 */
export function registerSubscription(request: SubscribeRequest, context: RegisterContext): Subscription {
  const { registry, tickMs } = context;
  const subscription = new Subscription({ ...request, rateClass: rateClassFor(request.maxHz, tickMs) });
  const audience = registry.audienceOf(request.eventId, request.topic);
  // Postgres may have a fix that is not known here; it is sent once Postgres has answered.
  const isDegraded = !registry.hasAssignments || !audience.devices.isHydrated;
  const reply = request.dialect === 'plain' ? replyPlain : replyBatched;
  try {
    reply(subscription, request, audience.devices, isDegraded, context);
    registry.register(subscription, audience);
  } catch (error) {
    // Half registered, it would be written to for ever.
    registry.unregister(subscription);
    throw error;
  }
  return subscription;
}
