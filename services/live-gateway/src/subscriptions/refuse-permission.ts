import type { MessageId } from '@app/shared/messages';
import type { Permission } from '../access/authorize.ts';
import { closeReasons } from '../connection/close-reasons.ts';
import type { Client } from '../connection/client.ts';
import { errorReply } from '../protocol/replies.ts';

const defaultRetryAfterMs = 5_000;

/** Releases the topic and tells the client why. A session that has ended ends the connection. */
export function refusePermission(
  client: Client,
  { id, topic }: { readonly id?: MessageId | undefined; readonly topic: string },
  permission: Exclude<Permission, { kind: 'allowed' }>,
): void {
  switch (permission.kind) {
    case 'session-ended':
      client.connection.end(closeReasons.sessionInvalid);
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
