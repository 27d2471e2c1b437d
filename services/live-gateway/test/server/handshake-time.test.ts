import { connect } from 'node:net';
import { eventually } from '@app/test-kit/eventually';
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../support/socket-server.ts';

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
  const { port } = await openServer();
  const slowClients = ['', 'GET /ws HTTP/1.1\r\n', 'GET /ws HTTP/1.1\r\nX: '].map((beginning) =>
    openSlowly(port, beginning),
  );
  for (const slowClient of slowClients) {
    expect(await eventually(() => slowClient.isClosed(), { timeoutMs: 80_000, intervalMs: 500 })).toBe(true);
  }
});
