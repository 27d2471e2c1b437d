// The raw limit: sends recorded frames at the moments when they were recorded, to every socket, and knows nothing else.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { App, us_socket_local_port, type WebSocket } from 'uWebSockets.js';

interface Recording {
  readonly forMs: number;
  readonly frames: readonly { readonly atMs: number; readonly text: string }[];
}

const { forMs, frames }: Recording = JSON.parse(readFileSync(process.env['RECORDING'] ?? '', 'utf8'));
const payloads = frames.map(({ text }) => Buffer.from(text));
const sockets = new Set<WebSocket<undefined>>();
let sent = 0;

const app = App().ws<undefined>('/*', {
  maxBackpressure: 4 * 2 ** 20,
  idleTimeout: 0,
  sendPingsAutomatically: false,
  open: (socket) => void sockets.add(socket),
  close: (socket) => void sockets.delete(socket),
});
app.listen('127.0.0.1', 0, (listening) => {
  if (listening === false) throw new Error('cannot listen');
  process.stdout.write(`${JSON.stringify({ port: us_socket_local_port(listening) })}\n`);
});

for (;;) {
  const startedAtMs = performance.now();
  for (const [at, { atMs }] of frames.entries()) {
    const waitMs = atMs - (performance.now() - startedAtMs);
    if (waitMs > 0) await sleep(waitMs);
    const payload = payloads[at] ?? Buffer.alloc(0);
    for (const socket of sockets) {
      socket.cork(() => {
        if (socket.send(payload, false) !== 2) sent += 1;
      });
    }
  }
  await sleep(Math.max(1, forMs - (performance.now() - startedAtMs)));
}
