import type { Client } from '../connection/client.ts';
import { closeReasons } from '../connection/close-reasons.ts';
import { sessionEndedReply } from '../protocol/replies.ts';

/** Time to hand over another session. */
const handoverMs = 10_000;

/**
 * Directus no longer accepts the client's session. Closes the connection; one that can hand over another session is
 * told so and gets time for it first, since a session that was refreshed ends while the page has the next one.
 *
 * @param nowMs by the run clock.
 */
export function endSession(client: Client, nowMs: number): void {
  if (client.handover === undefined) {
    client.connection.end(closeReasons.sessionInvalid);
  } else if (client.sessionEndsAtMs === undefined) {
    client.sessionEndsAtMs = nowMs + handoverMs;
    client.reply(sessionEndedReply(handoverMs));
  }
}
