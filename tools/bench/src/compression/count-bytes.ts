/**
 * Opens WebSockets and counts the bytes of what they are sent, without reading frames. A line on stdin is answered with
 * the sum.
 */
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';

/** Passed as JSON in `COUNT_BYTES`. */
export interface CountBytesOptions {
  readonly port: number;
  readonly connections: number;
  readonly offersDeflate: boolean;
}

const { port, connections, offersDeflate }: CountBytesOptions = JSON.parse(process.env['COUNT_BYTES'] ?? '');

let bytes = 0;
let open = 0;
for (let n = 0; n < connections; n += 1) {
  const socket = createConnection(port, '127.0.0.1');
  socket.write(
    'GET / HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
      `${offersDeflate ? 'Sec-WebSocket-Extensions: permessage-deflate\r\n' : ''}\r\n`,
  );
  let isOpen = false;
  socket.on('data', (data) => {
    if (isOpen) {
      bytes += data.length;
      return;
    }
    // Nothing is sent before every socket is open, so this is the response.
    isOpen = true;
    open += 1;
    if (open === connections) process.stdout.write(`${JSON.stringify({ isOpen: true })}\n`);
  });
}

createInterface({ input: process.stdin }).on('line', () =>
  process.stdout.write(`${JSON.stringify({ bytes })}\n`),
);
