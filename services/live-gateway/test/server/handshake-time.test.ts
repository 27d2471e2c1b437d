import { connect } from 'node:net';
import { eventually } from '@app/test-kit/eventually';
import { expect, onTestFinished, test } from 'vitest';
import { createSocketHandlers } from '../../src/connection/socket-handlers.ts';
import { createUpgradeHandler } from '../../src/server/handle-upgrade.ts';
import { listen } from '../../src/server/listen.ts';

async function openServer(): Promise<number> {
  const server = await listen({
    host: '127.0.0.1',
    port: 0,
    path: '/ws',
    maxHeaderBytes: 16_384,
    handlers: createSocketHandlers({
      onOpen: () => ({ onMessage: () => undefined, onClosed: () => undefined }),
      limits: { highWaterBytes: 65_536, maxQueuedReplies: 64, unansweredBytes: 65_536 },
      traffic: { onSent: () => undefined, onDropped: () => undefined, onClosed: () => undefined },
      nowMs: Date.now,
    }),
    createUpgrade: (upgradeCork) =>
      createUpgradeHandler({
        admit: () => Promise.reject(new Error('unexpected complete request')),
        upgradeCork,
        onPending: () => undefined,
        onResult: () => undefined,
      }),
  });
  onTestFinished(() => server[Symbol.dispose]());
  return server.port;
}

/** Opens a connection that sends the beginning of a request and then a byte per second. */
function openSlowly(port: number, beginning: string) {
  const socket = connect(port, '127.0.0.1');
  let isClosed = false;
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
  });
  socket.resume();
  socket.write(beginning);
  const writing = setInterval(() => socket.writable && beginning !== '' && socket.write('y'), 1_000);
  onTestFinished(() => {
    clearInterval(writing);
    socket.destroy();
  });
  return { isClosed: () => isClosed };
}

// The timeout is uWebSockets.js' own: some 30 s from the connection to the end of the head, sent bytes or not.
test('a connection whose handshake is not completed in time is closed', { timeout: 90_000 }, async () => {
  const port = await openServer();
  const slowClients = ['', 'GET /ws HTTP/1.1\r\n', 'GET /ws HTTP/1.1\r\nX: '].map((beginning) =>
    openSlowly(port, beginning),
  );
  for (const slowClient of slowClients) {
    expect(await eventually(() => slowClient.isClosed(), { timeoutMs: 80_000, intervalMs: 500 })).toBe(true);
  }
});
