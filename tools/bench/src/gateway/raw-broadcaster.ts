/**
 * The raw limit: sends recorded frames at the moments when they were recorded, and knows nothing else. A socket gets
 * what one of the recorded clients got. `{"isSending":true}` on stdin has it begin, `false` has it rest.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { App, us_socket_local_port, type WebSocket } from 'uWebSockets.js';
import type { Recording } from './audience-process.ts';

const { forMs, frames, clients }: Recording = JSON.parse(
  readFileSync(process.env['RECORDING'] ?? '', 'utf8'),
);
// Where clients shared a frame, it is one here too.
const payloads = new Map(frames.map(({ text }) => [text, Buffer.from(text)]));
const sendings = frames.map(({ atMs, client, text }) => ({
  atMs,
  client,
  payload: payloads.get(text) ?? text,
}));
const audiences = Array.from({ length: clients }, () => new Set<WebSocket<undefined>>());
let opened = 0;
let isSending = false;
let order = Promise.withResolvers<void>();

const app = App().ws<undefined>('/*', {
  maxBackpressure: 4 * 2 ** 20,
  idleTimeout: 0,
  sendPingsAutomatically: false,
  open: (socket) => void audiences[opened++ % clients]?.add(socket),
  close(socket) {
    for (const audience of audiences) audience.delete(socket);
  },
});
app.listen('127.0.0.1', 0, (listening) => {
  if (listening === false) throw new Error('cannot listen');
  process.stdout.write(`${JSON.stringify({ port: us_socket_local_port(listening) })}\n`);
});

createInterface({ input: process.stdin }).on('line', (line) => {
  ({ isSending } = JSON.parse(line));
  order.resolve();
  order = Promise.withResolvers();
});

for (;;) {
  if (!isSending) await order.promise;
  const startedAtMs = performance.now();
  for (const { atMs, client, payload } of sendings) {
    const waitMs = atMs - (performance.now() - startedAtMs);
    if (waitMs > 0) await sleep(waitMs);
    if (!isSending) break;
    for (const socket of audiences[client] ?? []) socket.send(payload, false);
  }
  if (isSending) await sleep(Math.max(1, forMs - (performance.now() - startedAtMs)));
}
