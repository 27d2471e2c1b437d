import type { HttpRequest, HttpResponse } from 'uWebSockets.js';

/** What the gateway reads of a request to upgrade. A value: uWebSockets.js' own request is gone after the first await. */
export interface UpgradeRequest {
  readonly connection: string;
  readonly origin: string;
  readonly cookieHeader: string;
  readonly socketAddress: string;
  readonly forwardedFor: string;
  readonly key: string;
  readonly protocols: string;
  readonly extensions: string;
}

/** Headers that are missing are ''. */
export function readUpgradeRequest(response: HttpResponse, request: HttpRequest): UpgradeRequest {
  return {
    connection: request.getHeader('connection'),
    origin: request.getHeader('origin'),
    cookieHeader: request.getHeader('cookie'),
    forwardedFor: readForwardedFor(request),
    socketAddress: Buffer.from(response.getRemoteAddressAsText()).toString('latin1'),
    key: request.getHeader('sec-websocket-key'),
    protocols: request.getHeader('sec-websocket-protocol'),
    extensions: request.getHeader('sec-websocket-extensions'),
  };
}

/**
 * All `X-Forwarded-For` lines as one. `getHeader` gives the first, which is the client's own where a proxy adds a line
 * for its word instead of lengthening the one that is there, as HAProxy does.
 */
function readForwardedFor(request: HttpRequest): string {
  const lines: string[] = [];
  request.forEach((name, value) => {
    if (name === 'x-forwarded-for') lines.push(value);
  });
  return lines.join(',');
}

/** Whether a `Sec-WebSocket-Protocol` header names the subprotocol among those that the client speaks. */
export function offersSubprotocol(protocols: string, subprotocol: string): boolean {
  return protocols.split(',').some((protocol) => protocol.trim() === subprotocol);
}
