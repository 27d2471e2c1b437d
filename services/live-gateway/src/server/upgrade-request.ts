import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import type { ForwardedHeader } from './client-address.ts';

/** The parts of an upgrade request that the gateway reads, copied: uWebSockets.js' request is invalid after an await. */
export interface UpgradeRequest {
  readonly connection: string;
  /** uWebSockets.js will close the connection after its response, whatever that is. */
  readonly isClosing: boolean;
  readonly upgrade: string;
  readonly version: string;
  readonly origin: string;
  readonly authorization: string;
  readonly cookieHeader: string;
  readonly socketAddress: string;
  /** The header in which proxies append the address of their client. */
  readonly forwarded: string;
  readonly key: string;
  readonly protocols: string;
  readonly extensions: string;
}

/**
 * Missing headers are ''. The lines of a header are joined, as RFC 9110 says: uWebSockets.js' `getHeader` returns the
 * first only, which may be the one from the client where a proxy appends a line of its own, as HAProxy does.
 *
 * @param forwardedHeader the one that is read into `forwarded`.
 */
export function readUpgradeRequest(
  response: HttpResponse,
  request: HttpRequest,
  forwardedHeader: ForwardedHeader,
): UpgradeRequest {
  const lines = new Map<string, string[]>();
  request.forEach((name, value) => {
    const values = lines.get(name);
    if (values === undefined) lines.set(name, [value]);
    else values.push(value);
  });
  const read = (name: string, separator = ','): string => lines.get(name)?.join(separator) ?? '';
  return {
    connection: read('connection'),
    // It takes any first line of this length for `close`.
    isClosing: request.getHeader('connection').length === 'close'.length,
    upgrade: read('upgrade'),
    version: read('sec-websocket-version'),
    origin: read('origin'),
    authorization: read('authorization'),
    // As browsers separate cookies; some proxies split the header of HTTP/2 into lines.
    cookieHeader: read('cookie', '; '),
    forwarded: read(forwardedHeader),
    socketAddress: Buffer.from(response.getRemoteAddressAsText()).toString('latin1'),
    key: read('sec-websocket-key'),
    protocols: read('sec-websocket-protocol'),
    extensions: read('sec-websocket-extensions'),
  };
}

/** Whether a list such as `Connection` contains the token, in any position and case. */
export function listsToken(header: string, token: string): boolean {
  return header.split(',').some((each) => each.trim().toLowerCase() === token);
}

/** Whether a `Sec-WebSocket-Protocol` header contains the subprotocol. */
export function offersSubprotocol(protocols: string, subprotocol: string): boolean {
  return protocols.split(',').some((protocol) => protocol.trim() === subprotocol);
}
