import type { HttpRequest, HttpResponse } from 'uWebSockets.js';

/** The parts of an upgrade request that the gateway reads, copied: uWebSockets.js' request is invalid after an await. */
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

/** Missing headers are ''. */
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
 * All `X-Forwarded-For` lines joined. `getHeader` returns only the first: a proxy that appends a line of its own, as
 * HAProxy does, leaves the address asserted by the client there.
 */
function readForwardedFor(request: HttpRequest): string {
  const lines: string[] = [];
  request.forEach((name, value) => {
    if (name === 'x-forwarded-for') lines.push(value);
  });
  return lines.join(',');
}

/** Whether a `Sec-WebSocket-Protocol` header contains the subprotocol. */
export function offersSubprotocol(protocols: string, subprotocol: string): boolean {
  return protocols.split(',').some((protocol) => protocol.trim() === subprotocol);
}
