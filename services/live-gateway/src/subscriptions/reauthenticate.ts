import type { ClientMessage } from '@app/shared/messages';
import type { Authenticate } from '../access/authenticate.ts';
import { parseBearerToken } from '../access/bearer-token.ts';
import type { SessionTickets } from '../access/session-tickets.ts';
import type { Credential } from '../access/visitor.ts';
import type { Client } from '../connection/client.ts';
import { encodeReply, errorReply } from '../protocol/replies.ts';

/** The result of `reauthenticate`; label `outcome` of `live_reauthentications_total`. */
export type ReauthenticationOutcome =
  | 'accepted'
  /** Of another connection, expired, or not sealed with `LIVE_TICKET_KEY`. */
  | 'bad-ticket'
  /** Directus does not know the session or token, or its user is suspended. */
  | 'unauthorised'
  | 'other-user'
  | 'unavailable';

export interface ReauthenticateContext {
  readonly authenticate: Authenticate;
  /** Undefined while `LIVE_TICKET_KEY` is not set. */
  readonly tickets: SessionTickets | undefined;
  /** Called once the client has another credential: its subscriptions are checked with it. */
  readonly onSessionReplaced: (client: Client) => void;
  readonly onReauthenticated: (outcome: ReauthenticationOutcome) => void;
}

type ReauthenticateMessage = Extract<ClientMessage, { type: 'reauthenticate' }>;

const problems = {
  'bad-ticket': 'the ticket is not valid on this connection, or has expired',
  unauthorised: 'the session or token is not valid',
  'other-user': 'the session or token is of another user',
} as const;

/**
 * Handles `reauthenticate`: replaces the session of the connection by the one in the ticket, or its token by another. It
 * must be of the same user. If it is refused, the connection keeps what it has.
 */
export async function reauthenticate(
  client: Client,
  message: ReauthenticateMessage,
  { authenticate, tickets, onSessionReplaced, onReauthenticated }: ReauthenticateContext,
): Promise<void> {
  const { id } = message;
  const handedOver = message.ticket === undefined ? 'token' : 'ticket';
  if (client.handover !== handedOver) {
    client.reply(errorReply(id, 'unknown-type', `this connection accepts no ${handedOver}s`));
    return;
  }
  const refuse = (outcome: keyof typeof problems): void => {
    onReauthenticated(outcome);
    client.reply(errorReply(id, 'bad-session', problems[outcome]));
  };
  const credential = readHandedOver(client, message, tickets);
  if (credential === undefined) {
    refuse(handedOver === 'ticket' ? 'bad-ticket' : 'unauthorised');
    return;
  }
  const { viewer } = client;
  const { address, userId } = viewer;
  const identity = await authenticate({ credential, address });
  if (!client.connection.isOpen) return;
  if (identity.kind === 'unavailable') {
    onReauthenticated('unavailable');
    client.reply(
      errorReply(id, 'unavailable', 'the session or token cannot be checked now', identity.retryAfterMs),
    );
  } else if (identity.kind === 'nobody') {
    refuse('unauthorised');
  } else if (identity.userId !== userId) {
    refuse('other-user');
  } else {
    // Not if a later message was answered before.
    if (client.viewer === viewer) {
      client.replaceSession({ credential, address, userId });
      onSessionReplaced(client);
    }
    onReauthenticated('accepted');
    client.reply(encodeReply({ type: 'reauthenticated', id }));
  }
}

function readHandedOver(
  client: Client,
  { ticket, token }: ReauthenticateMessage,
  tickets: SessionTickets | undefined,
): Credential | undefined {
  if (token !== undefined) return parseBearerToken(token);
  return ticket === undefined ? undefined : tickets?.open(ticket, client.connection.id);
}
