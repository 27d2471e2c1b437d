/**
 * Many viewers in a process of their own, so that what they cost is not the test's. Reads what to do from its argument,
 * answers each line on stdin (what its viewers should hold, as JSON: fix times by device) with a line of JSON, and
 * ends when stdin does.
 */
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { plainServerMessage } from '@app/shared/messages';
import { WebSocket } from 'ws';
import type { CrowdOptions, CrowdReport } from './start-crowd.ts';

const options: CrowdOptions = JSON.parse(process.argv[2] ?? '');
const openAtOnce = 25;
const retryMs = 500;

const closes: Record<string, number> = {};
const refusals: Record<string, number> = {};
const returnedAtMs: number[] = [];
let farewells = 0;
let stepsBack = 0;

function count(counts: Record<string, number>, key: string | number): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

/** Watches for good: after each loss it comes back when it was told to, and forgets nothing of what it held. */
class Spectator {
  readonly held: Record<string, number> = {};
  readonly #session: string;
  #backAfterMs: number | undefined;
  #hasWatched = false;
  isWatching = false;

  constructor(session: string) {
    this.#session = session;
  }

  /** Resolves once it watches, or once it was refused. */
  async open(): Promise<void> {
    const { origin, topic } = options;
    const socket = new WebSocket(options.url, {
      perMessageDeflate: false,
      headers: { origin, cookie: `directus_session_token=${this.#session}` },
    });
    const settled = Promise.withResolvers<void>();
    socket.on('open', () => socket.send(JSON.stringify({ type: 'subscribe', topic, maxHz: 1 })));
    socket.on('unexpected-response', (request, response) => {
      count(refusals, response.statusCode ?? 0);
      request.destroy();
      settled.resolve();
    });
    socket.on('message', (data: Buffer) => {
      this.#hear(data.toString());
      if (this.isWatching) settled.resolve();
    });
    // What went wrong, a close tells.
    socket.on('error', () => undefined);
    socket.on('close', (code) => {
      if (this.isWatching) count(closes, code);
      this.isWatching = false;
      settled.resolve();
      void this.#comeBack();
    });
    await settled.promise;
  }

  #hear(text: string): void {
    const message = plainServerMessage.parse(JSON.parse(text));
    if (message.type === 'subscribed') {
      this.isWatching = true;
      if (this.#hasWatched) returnedAtMs.push(Date.now());
      this.#hasWatched = true;
      for (const { deviceId, ts } of message.snapshot) this.#hold(deviceId, ts);
    } else if (message.type === 'position') {
      this.#hold(message.deviceId, message.ts);
    } else if (message.type === 'reconnect') {
      farewells += 1;
      this.#backAfterMs = message.afterMs;
    }
  }

  #hold(deviceId: string, ts: number): void {
    if (ts < (this.held[deviceId] ?? 0)) stepsBack += 1;
    this.held[deviceId] = ts;
  }

  async #comeBack(): Promise<void> {
    const afterMs = this.#backAfterMs ?? retryMs * Math.random();
    this.#backAfterMs = undefined;
    await wait(afterMs);
    await this.open();
  }
}

const spectators = Array.from(
  { length: options.viewers },
  (_, n) => new Spectator(options.sessions[n % options.sessions.length] ?? ''),
);

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const expected = Object.entries<number>(JSON.parse(line));
    const report: CrowdReport = {
      watching: spectators.filter(({ isWatching }) => isWatching).length,
      right: spectators.filter(
        ({ isWatching, held }) => isWatching && expected.every(([deviceId, ts]) => held[deviceId] === ts),
      ).length,
      stepsBack,
      farewells,
      closes,
      refusals,
      returnedAtMs,
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  })
  .on('close', () => process.exit(0));

const toOpen = [...spectators];
await Promise.all(
  Array.from({ length: openAtOnce }, async () => {
    for (let next = toOpen.pop(); next !== undefined; next = toOpen.pop()) await next.open();
  }),
);
