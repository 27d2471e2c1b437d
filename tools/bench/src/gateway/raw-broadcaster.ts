/**
 * The raw limit: sends recorded frames at the times at which they were recorded. Each socket gets the frames of one
 * recorded client. `{"isSending":true}` on stdin starts it, `false` pauses it.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { App, us_socket_local_port, type WebSocket } from 'uWebSockets.js';
import type { Recording } from './clients.ts';

const { forMs, frames, clients }: Recording = JSON.parse(
  readFileSync(process.env['RECORDING'] ?? '', 'utf8'),
);
// Frames that clients shared are shared here too.
const payloads = new Map(frames.map(({ text }) => [text, Buffer.from(text)]));
const sendings = frames.map(({ atMs, client, text }) => ({
  atMs,
  client,
  payload: payloads.get(text) ?? text,
}));
const groups = Array.from({ length: clients }, () => new Set<WebSocket<undefined>>());
let opened = 0;
let isSending = false;
let change = Promise.withResolvers<void>();

const app = App().ws<undefined>('/*', {
  maxBackpressure: 4 * 2 ** 20,
  idleTimeout: 0,
  sendPingsAutomatically: false,
  open: (socket) => void groups[opened++ % clients]?.add(socket),
  close(socket) {
    for (const group of groups) group.delete(socket);
  },
});
app.listen('127.0.0.1', 0, (listening) => {
  if (listening === false) throw new Error('cannot listen');
  process.stdout.write(`${JSON.stringify({ port: us_socket_local_port(listening) })}\n`);
});

createInterface({ input: process.stdin }).on('line', (line) => {
  ({ isSending } = JSON.parse(line));
  change.resolve();
  change = Promise.withResolvers();
});

for (;;) {
  if (!isSending) await change.promise;
  const startedAtMs = performance.now();
  for (const { atMs, client, payload } of sendings) {
    const waitMs = atMs - (performance.now() - startedAtMs);
    if (waitMs > 0) await sleep(waitMs);
    if (!isSending) break;
    for (const socket of groups[client] ?? []) socket.send(payload, false);
  }
  if (isSending) await sleep(Math.max(1, forMs - (performance.now() - startedAtMs)));
}
