import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import { maxMessageBytes } from '@app/shared/protocol';
import { isUuid } from '@app/shared/topics';
import { isAllowedOrigin } from '../access/allowed-origins.ts';
import type { AllowedOrigins } from '../access/allowed-origins.ts';
import { readSessionCookie } from '../access/session-cookie.ts';
import type { SessionTickets } from '../access/session-tickets.ts';
import type { ReportClientError } from '../connection/client-errors.ts';
import type { ForwardedHeader } from './client-address.ts';
import { readUpgradeRequest } from './upgrade-request.ts';

/** The ticket must fit into a client message, with the rest of the message. */
const maxTicketLength = maxMessageBytes - 256;

interface TicketRules {
  readonly tickets: SessionTickets;
  readonly allowedOrigins: AllowedOrigins;
  readonly cookieName: string;
  readonly forwardedHeader: ForwardedHeader;
}

interface Answer {
  readonly status: string;
  /** JSON, or an error message. */
  readonly body: object | string;
}

/**
 * Answers `POST {LIVE_WS_PATH}?connection={id}` with a ticket for the session cookie of the request. Directus is asked
 * when the ticket is used, so a ticket proves nothing by itself.
 *
 * The path is the one of the WebSocket, so that each proxy that forwards one forwards the other. The request needs no
 * CORS preflight: it has no body and no headers of its own.
 */
export function createTicketHandler(
  rules: TicketRules,
  onError: ReportClientError,
): (response: HttpResponse, request: HttpRequest) => void {
  return (response, request) => {
    const { origin, cookieHeader } = readUpgradeRequest(response, request, rules.forwardedHeader);
    const connectionId = request.getQuery('connection') ?? '';
    const isAllowed = isAllowedOrigin(origin, rules.allowedOrigins);
    let answer: Answer;
    try {
      answer = isAllowed
        ? issueTicket(connectionId, cookieHeader, rules)
        : { status: '403 Forbidden', body: 'origin not allowed\n' };
    } catch (error) {
      onError('ticket', error, {});
      answer = { status: '500 Internal Server Error', body: 'internal error\n' };
    }
    const isJson = typeof answer.body === 'object';
    response
      .writeStatus(answer.status)
      .writeHeader('Content-Type', isJson ? 'application/json' : 'text/plain; charset=utf-8')
      .writeHeader('Cache-Control', 'no-store')
      .writeHeader('Vary', 'Origin');
    if (isAllowed && origin !== '') {
      response
        .writeHeader('Access-Control-Allow-Origin', origin)
        .writeHeader('Access-Control-Allow-Credentials', 'true');
    }
    response.end(typeof answer.body === 'object' ? JSON.stringify(answer.body) : answer.body);
  };
}

function issueTicket(
  connectionId: string,
  cookieHeader: string,
  { tickets, cookieName }: TicketRules,
): Answer {
  if (!isUuid(connectionId)) {
    return { status: '400 Bad Request', body: 'connection must be the connection of hello\n' };
  }
  const cookie = readSessionCookie(cookieHeader, cookieName);
  if (cookie === undefined) return { status: '401 Unauthorized', body: 'no session cookie\n' };
  const ticket = tickets.seal(cookie, connectionId);
  if (ticket.length > maxTicketLength) {
    return { status: '400 Bad Request', body: 'session cookie too long for a ticket\n' };
  }
  return { status: '200 OK', body: { ticket } };
}
