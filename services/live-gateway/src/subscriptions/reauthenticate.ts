import type { ClientMessage } from '@app/shared/messages';
import type { Authenticate } from '../access/authenticate.ts';
import type { SessionTickets } from '../access/session-tickets.ts';
import type { Client } from '../connection/client.ts';
import { encodeReply, errorReply } from '../protocol/replies.ts';

/** The result of `reauthenticate`; label `outcome` of `live_reauthentications_total`. */
export type ReauthenticationOutcome =
  | 'accepted'
  /** Of another connection, expired, or not sealed with `LIVE_TICKET_KEY`. */
  | 'bad-ticket'
  /** Directus does not know the session, or its user is suspended. */
  | 'unauthorised'
  | 'other-user'
  | 'unavailable';

export interface ReauthenticateContext {
  readonly authenticate: Authenticate;
  /** Undefined while `LIVE_TICKET_KEY` is not set. */
  readonly tickets: SessionTickets | undefined;
  /** Called once the client has another session: its subscriptions are checked with it. */
  readonly onSessionReplaced: (client: Client) => void;
  readonly onReauthenticated: (outcome: ReauthenticationOutcome) => void;
}

const problems = {
  'bad-ticket': 'the ticket is not valid on this connection, or has expired',
  unauthorised: 'the session is not valid',
  'other-user': 'the session is of another user',
} as const;

/**
 * Handles `reauthenticate`: replaces the session of the connection by the one in the ticket. It must be of the same
 * user. If it is refused, the connection keeps the session that it has.
 */
export async function reauthenticate(
  client: Client,
  { id, ticket }: Extract<ClientMessage, { type: 'reauthenticate' }>,
  { authenticate, tickets, onSessionReplaced, onReauthenticated }: ReauthenticateContext,
): Promise<void> {
  if (tickets === undefined || !client.acceptsTickets) {
    client.reply(errorReply(id, 'unknown-type', 'this server accepts no tickets'));
    return;
  }
  const refuse = (outcome: keyof typeof problems): void => {
    onReauthenticated(outcome);
    client.reply(errorReply(id, 'bad-session', problems[outcome]));
  };
  const cookie = tickets.open(ticket, client.connection.id);
  if (cookie === undefined) {
    refuse('bad-ticket');
    return;
  }
  const { address, userId } = client.viewer;
  const identity = await authenticate({ credential: cookie, address });
  if (!client.connection.isOpen) return;
  if (identity.kind === 'unavailable') {
    onReauthenticated('unavailable');
    client.reply(errorReply(id, 'unavailable', 'the session cannot be checked now', identity.retryAfterMs));
  } else if (identity.kind === 'nobody') {
    refuse('unauthorised');
  } else if (identity.userId !== userId) {
    refuse('other-user');
  } else {
    client.replaceSession({ credential: cookie, address, userId });
    onSessionReplaced(client);
    onReauthenticated('accepted');
    client.reply(encodeReply({ type: 'reauthenticated', id }));
  }
}
