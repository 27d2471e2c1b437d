import { request } from 'node:http';
import type { ClientRequest } from 'node:http';
import { testOrigin } from './start-gateway.ts';

/** Asks to upgrade by a bare request, to be broken off or looked at. Of several values each gets a line of its own. */
export function requestUpgrade(
  wsUrl: string,
  headers: Readonly<Record<string, string | string[]>>,
): ClientRequest {
  const asking = request(wsUrl.replace('ws:', 'http:'), {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      origin: testOrigin,
      ...headers,
    },
  });
  asking.on('error', () => undefined);
  asking.end();
  return asking;
}
