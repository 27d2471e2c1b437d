/**
 * Many clients in a process of their own, so that their CPU is not the server's. Each line on stdin is a numbered
 * command, answered by a line of JSON with the same number.
 */
import { writeFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientsOptions, Command, Reconnected, Recording, Report } from './clients.ts';
import { LoadClient } from './load-client.ts';

const clients: LoadClient[] = [];

async function run(command: Command): Promise<object> {
  switch (command.type) {
    case 'open':
      return await open(command.options);
    case 'reset':
      for (const client of clients) client.resetCounts();
      return {};
    case 'report':
      return report();
    case 'record':
      return await record(command.forMs, command.file);
    case 'stall':
      for (const client of clients) client.stall();
      return {};
    case 'reconnect':
      return await reconnect(command.withinMs);
    default:
      throw new Error(`unknown command ${JSON.stringify(command)}`);
  }
}

/** Opens them at an even pace and waits until all are live. */
async function open(options: ClientsOptions): Promise<object> {
  // Real clients have machines of their own: those that only count yield to the server and the readers.
  if (!options.readsPositions) setPriority(10);
  const startedAtMs = performance.now();
  const opening: Promise<void>[] = [];
  for (let n = 0; n < options.clients; n += 1) {
    const client = new LoadClient(options, n);
    clients.push(client);
    opening.push(client.open());
    const dueMs = (n / options.openPerS) * 1000 - (performance.now() - startedAtMs);
    if (dueMs > 2) await sleep(dueMs);
  }
  await Promise.all(opening);
  return {};
}

function report(): Report {
  const closed = clients.filter(({ isClosed }) => isClosed).length;
  if (closed > 0) throw new Error(`the server closed ${closed} clients`);
  const sum = (of: (client: LoadClient) => number): number =>
    clients.reduce((total, client) => total + of(client), 0);
  return {
    frames: sum(({ frames }) => frames),
    bytes: sum(({ bytes }) => bytes),
    latenciesMs: clients.flatMap(({ latenciesMs }) => latenciesMs),
  };
}

async function record(forMs: number, file: string): Promise<object> {
  const frames: Recording['frames'][number][] = [];
  const startedAtMs = performance.now();
  for (const [client, each] of clients.entries()) {
    each.onFrame = (frame) =>
      frames.push({ atMs: performance.now() - startedAtMs, client, text: frame.toString() });
  }
  await sleep(forMs);
  for (const client of clients) client.onFrame = undefined;
  const recording: Recording = { forMs, clients: clients.length, frames };
  await writeFile(file, JSON.stringify(recording));
  return {};
}

/** Cuts all connections at once and reopens them over this time, with their cursors. */
async function reconnect(withinMs: number): Promise<Reconnected> {
  for (const client of clients) client.cut();
  const startedAtMs = performance.now();
  const liveAfterMs = await Promise.all(
    clients.map(async (client, n) => {
      await sleep((n / clients.length) * withinMs);
      await client.open();
      return performance.now() - startedAtMs;
    }),
  );
  return {
    liveAfterMs: Math.max(...liveAfterMs),
    recovered: clients.filter(({ hasRecovered }) => hasRecovered).length,
  };
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const { number, command }: { number: number; command: Command } = JSON.parse(line);
  const reply = (fields: object): unknown =>
    process.stdout.write(`${JSON.stringify({ number, ...fields })}\n`);
  run(command).then(
    (result) => reply({ result }),
    (error: unknown) => reply({ failure: String(error) }),
  );
});
