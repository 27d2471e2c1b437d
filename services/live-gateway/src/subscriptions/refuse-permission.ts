import type { MessageId } from '@app/shared/messages';
import type { Refusal } from '../access/authorize-topic.ts';
import type { Client } from '../connection/client.ts';
import { errorReply } from '../protocol/replies.ts';
import { endSession } from './end-session.ts';

const defaultRetryAfterMs = 5_000;
const sessionRetryAfterMs = 1_000;

/** Releases the topic and tells the client why. A session that has ended ends the connection, or will: see `endSession`. */
export function refusePermission(
  client: Client,
  { id, topic }: { readonly id?: MessageId | undefined; readonly topic: string },
  permission: Refusal,
  nowMs: number,
): void {
  switch (permission.kind) {
    case 'session-ended':
      endSession(client, nowMs);
      // Not closed: the client hands over another session and tries again.
      client.subscriptions.release(topic);
      client.reply(errorReply(id, 'unavailable', 'the session has ended', sessionRetryAfterMs));
      return;
    case 'forbidden':
      client.subscriptions.release(topic);
      client.reply(errorReply(id, 'forbidden', 'no permission for this event, or it does not exist'));
      return;
    case 'unavailable': {
      client.subscriptions.release(topic);
      const retryAfterMs = permission.retryAfterMs ?? defaultRetryAfterMs;
      client.reply(errorReply(id, 'unavailable', 'the permission cannot be checked now', retryAfterMs));
    }
  }
}
