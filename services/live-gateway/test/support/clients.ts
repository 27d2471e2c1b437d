/**
 * Many viewers in a process of their own, so that what they cost is not the test's. Reads what to do from its argument,
 * answers each line on stdin (what its viewers should hold, as JSON: fix times by device) with a line of JSON, and
 * ends when stdin does.
 */
import { createInterface } from 'node:readline';
import { connect } from '@app/live-client';
import type { LiveClient } from '@app/live-client';
import { batchedServerMessage } from '@app/shared/messages';
import { WebSocket } from 'ws';
import type { ClientsOptions, ClientsReport } from './start-clients.ts';

const options: ClientsOptions = JSON.parse(process.argv[2] ?? '');
const { url, origin, topic } = options;
// The first rows come with the next tick of their rate, so that few at a time would take long.
const openAtOnce = 250;

const closes: Record<string, number> = {};
const refusals: Record<string, number> = {};
const returnedAtMs: number[] = [];
let farewells = 0;
let resumes = 0;
let stepsBack = 0;

function count(counts: Record<string, number>, key: string | number): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

/** One viewer with the client library, and everything that it is sent, looked at. */
class Spectator {
  readonly client: LiveClient;
  readonly #newestTs = new Map<string, number>();
  #hasWatched = false;

  constructor(session: string, onWatching: () => void) {
    this.client = connect({
      url,
      topics: [topic],
      maxHz: 1,
      openSocket: (_url, protocol) => this.#open(session, protocol),
      onState: (state) => {
        if (state !== 'live') return;
        if (this.#hasWatched) returnedAtMs.push(Date.now());
        this.#hasWatched = true;
        onWatching();
      },
    });
  }

  holds(deviceId: string, ts: number): boolean {
    return this.client.positions.get(topic)?.get(deviceId)?.ts === ts;
  }

  #open(session: string, protocol: string): WebSocket {
    const socket = new WebSocket(url, protocol, {
      perMessageDeflate: false,
      headers: { origin, cookie: `directus_session_token=${session}` },
    });
    let hasOpened = false;
    socket.on('open', () => {
      hasOpened = true;
    });
    socket.on('unexpected-response', (request, response) => {
      count(refusals, response.statusCode ?? 0);
      request.destroy();
      socket.terminate();
    });
    socket.on('message', (data: Buffer) => this.#hear(data.toString()));
    socket.on('close', (code) => {
      if (hasOpened) count(closes, code);
    });
    return socket;
  }

  #hear(text: string): void {
    const message = batchedServerMessage.parse(JSON.parse(text));
    if (message.type === 'reconnect') farewells += 1;
    if (message.type === 'subscribed' && message.recovered) resumes += 1;
    if (message.type !== 'snapshot' && message.type !== 'positions') return;
    for (const [deviceId, , , ts] of message.rows) {
      if (ts < (this.#newestTs.get(deviceId) ?? 0)) stepsBack += 1;
      this.#newestTs.set(deviceId, ts);
    }
  }
}

const spectators: Spectator[] = [];

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const expected = Object.entries<number>(JSON.parse(line));
    const watching = spectators.filter(({ client }) => client.state === 'live');
    const report: ClientsReport = {
      watching: watching.length,
      right: watching.filter((spectator) => expected.every(([deviceId, ts]) => spectator.holds(deviceId, ts)))
        .length,
      stepsBack,
      farewells,
      resumes,
      closes,
      refusals,
      returnedAtMs,
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  })
  .on('close', () => process.exit(0));

const sessions = Array.from(
  { length: options.viewers },
  (_, n) => options.sessions[n % options.sessions.length] ?? '',
);
await Promise.all(
  Array.from({ length: openAtOnce }, async () => {
    for (let session = sessions.pop(); session !== undefined; session = sessions.pop()) {
      const watching = Promise.withResolvers<void>();
      spectators.push(new Spectator(session, watching.resolve));
      await watching.promise;
    }
  }),
);
