import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { eventually } from '@app/test-kit/eventually';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { readSessionCookie } from '../../src/access/session-cookie.ts';
import type { Connection, ConnectionLimits } from '../../src/connection/connection.ts';
import { createSocketHandlers } from '../../src/connection/socket-handlers.ts';
import { createUpgradeHandler } from '../../src/server/handle-upgrade.ts';
import { listen } from '../../src/server/listen.ts';

/** A server that admits every client, and a record of its events. */
export async function openServer(limits: Partial<ConnectionLimits> = {}) {
  const connections: Connection[] = [];
  const messages: string[] = [];
  const closes: number[] = [];
  let closedClients = 0;
  let dropped = 0;
  let nowMs = 0;
  const cookie = readSessionCookie('s=x', 's');
  if (cookie === undefined) throw new Error('no cookie');
  const viewer = { credential: cookie, address: '127.0.0.1', userId: 'u' };
  const server = await listen({
    host: '127.0.0.1',
    port: 0,
    path: '/ws',
    maxHeaderBytes: 4_096,
    handlers: createSocketHandlers({
      onOpen: (connection) => {
        connections.push(connection);
        return {
          onMessage: (frame) => messages.push(frame),
          onClosed: () => {
            closedClients += 1;
          },
        };
      },
      limits: { highWaterBytes: 65_536, unansweredBytes: Infinity, maxQueuedReplies: 64, ...limits },
      traffic: {
        onSent: () => undefined,
        onDropped: () => (dropped += 1),
        onClosed: (code) => closes.push(code),
      },
      onError: failTest,
      nowMs: () => nowMs,
    }),
    createUpgrade: (upgradeCork) =>
      createUpgradeHandler({
        admit: () => Promise.resolve({ isAdmitted: true, viewer }),
        forwardedHeader: 'x-forwarded-for',
        upgradeCork,
        onPending: () => undefined,
        onResult: () => undefined,
        onError: failTest,
      }),
  });
  onTestFinished(() => server[Symbol.dispose]());
  return {
    port: server.port,
    messages,
    closes,
    closedClients: () => closedClients,
    dropped: () => dropped,
    passMs: (ms: number) => {
      nowMs += ms;
    },
    nowMs: () => nowMs,
    /** Waits for the connection opened as number `count`. */
    connection: (count = 1) =>
      eventually(() => (connections.length >= count ? connections[count - 1] : undefined)),
  };
}

function failTest(_operation: string, error: unknown): never {
  throw error;
}

export async function openClient(port: number): Promise<WebSocket> {
  const client = new WebSocket(`ws://127.0.0.1:${port}/ws`, { perMessageDeflate: false });
  client.on('error', () => undefined);
  onTestFinished(() => client.terminate());
  await once(client, 'open');
  return client;
}

/** A client that sends the handshake and never reads. */
export function openStalledClient(port: number): void {
  const socket = connectTcp({ port, host: '127.0.0.1', onread: undefined });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(
    'GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
}

export const frame = Buffer.alloc(1_000, 'x');

export function frames(count: number): readonly Buffer[] {
  return Array.from({ length: count }, () => frame);
}

export function writeUntilLagging(connection: Connection): void {
  while (connection.isWritable()) connection.writeFrames(frames(100));
}
