/**
 * Runs many viewers in a process of their own, so that they do not slow down the test. Options come as JSON in the first
 * argument. Each line on stdin is the expected fix times by device as JSON; the reply is a `ClientsReport` in one line.
 * Exits when stdin ends.
 */
import { createInterface } from 'node:readline';
import { connect } from '@app/live-client';
import type { LiveClient } from '@app/live-client';
import { batchedServerMessage } from '@app/shared/messages';
import { WebSocket } from 'ws';
import type { ClientsOptions, ClientsReport } from './start-clients.ts';

const options: ClientsOptions = JSON.parse(process.argv[2] ?? '');
const { url, origin, topic } = options;
// Each viewer waits for the next tick of its rate class, so few at a time would take long.
const maxConnecting = 500;

const closes: Record<string, number> = {};
const refusals: Record<string, number> = {};
let reconnects = 0;
let reconnectMessages = 0;
let resumes = 0;
let olderRows = 0;

function count(counts: Record<string, number>, key: string | number): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

/** A viewer with the client library that checks every message. */
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
        if (this.#hasWatched) reconnects += 1;
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
    socket.on('message', (data: Buffer) => this.#receive(data.toString()));
    socket.on('close', (code) => {
      if (hasOpened) count(closes, code);
    });
    return socket;
  }

  #receive(frame: string): void {
    const message = batchedServerMessage.parse(JSON.parse(frame));
    if (message.type === 'reconnect') reconnectMessages += 1;
    if (message.type === 'subscribed' && message.recovered) resumes += 1;
    if (message.type !== 'snapshot' && message.type !== 'positions') return;
    for (const [deviceId, , , ts] of message.rows) {
      if (ts < (this.#newestTs.get(deviceId) ?? 0)) olderRows += 1;
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
      upToDate: watching.filter((spectator) =>
        expected.every(([deviceId, ts]) => spectator.holds(deviceId, ts)),
      ).length,
      olderRows,
      reconnectMessages,
      resumes,
      closes,
      refusals,
      reconnects,
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  })
  .on('close', () => process.exit(0));

const sessions = Array.from(
  { length: options.viewers },
  (_, n) => options.sessions[n % options.sessions.length] ?? '',
);
await Promise.all(
  Array.from({ length: maxConnecting }, async () => {
    for (let session = sessions.pop(); session !== undefined; session = sessions.pop()) {
      const watching = Promise.withResolvers<void>();
      spectators.push(new Spectator(session, watching.resolve));
      await watching.promise;
    }
  }),
);
