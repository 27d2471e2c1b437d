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
    forwardedFor: request.getHeader('x-forwarded-for'),
    socketAddress: Buffer.from(response.getRemoteAddressAsText()).toString('latin1'),
    key: request.getHeader('sec-websocket-key'),
    protocols: request.getHeader('sec-websocket-protocol'),
    extensions: request.getHeader('sec-websocket-extensions'),
  };
}
