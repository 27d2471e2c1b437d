import { request } from 'node:http';
import type { ClientRequest } from 'node:http';
import { testOrigin } from './start-gateway.ts';

/** Sends an upgrade request without a WebSocket client. Each value of an array becomes a header line of its own. */
export function requestUpgrade(
  wsUrl: string,
  headers: Readonly<Record<string, string | string[]>>,
): ClientRequest {
  const upgrade = request(wsUrl.replace('ws:', 'http:'), {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      origin: testOrigin,
      ...headers,
    },
  });
  upgrade.on('error', () => undefined);
  upgrade.end();
  return upgrade;
}
