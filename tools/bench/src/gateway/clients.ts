import { Program } from '@app/test-kit/program';
import { z } from 'zod';
import type { dialects } from './dialects.ts';

export interface ClientsOptions {
  readonly url: string;
  readonly dialect: keyof typeof dialects;
  readonly clients: number;
  readonly openPerS: number;
  readonly origin: string;
  /** Session cookies, assigned in turn. */
  readonly sessions: readonly string[];
  readonly topic: string;
  /** `[west, south, east, north]`, assigned in turn; none asks for everything. */
  readonly boxes: readonly (readonly number[])[];
  /** Source addresses, assigned in turn: one address has only some 28,000 ports. */
  readonly localAddresses: readonly string[];
  /** Parses every position and measures its age; otherwise frames are only counted. */
  readonly readsPositions: boolean;
  /** Keeps the last cursor, to resume from it. */
  readonly resumes: boolean;
}

export type Command =
  | { readonly type: 'open'; readonly options: ClientsOptions }
  | { readonly type: 'reset' | 'report' | 'stall' }
  | { readonly type: 'record'; readonly forMs: number; readonly file: string }
  | { readonly type: 'reconnect'; readonly withinMs: number };

/** Counts since the last reset. */
const report = z.object({
  frames: z.number(),
  bytes: z.number(),
  /** From the fix time, which is the send time, to the arrival; one per position. */
  latenciesMs: z.array(z.number()),
});

const reconnected = z.object({
  /** From the cut until the last client is live again. */
  liveAfterMs: z.number(),
  /** Clients that resumed without a snapshot. */
  recovered: z.number(),
});

/** The frames of some clients, which the raw limit sends again. */
export interface Recording {
  readonly forMs: number;
  readonly clients: number;
  /** In order of arrival; `client` counts from 0. */
  readonly frames: readonly { readonly atMs: number; readonly client: number; readonly text: string }[];
}

export type Report = z.infer<typeof report>;
export type Reconnected = z.infer<typeof reconnected>;

/** A process that holds clients; see `run-clients.ts`. */
export class Clients extends Program {
  #lastNumber = 0;

  private constructor() {
    // A report has the latency of every position, so few lines are kept.
    super({ main: new URL('run-clients.ts', import.meta.url), keptLines: 10 });
  }

  /** Resolves once all are live. */
  static async open(options: ClientsOptions): Promise<Clients> {
    await using stack = new AsyncDisposableStack();
    const clients = stack.use(new Clients());
    await clients.#run({ type: 'open', options });
    stack.move();
    return clients;
  }

  /** Sets the counts to 0. */
  async reset(): Promise<void> {
    await this.#run({ type: 'reset' });
  }

  /** Throws if the server has closed a client. */
  async report(): Promise<Report> {
    return report.parse(await this.#run({ type: 'report' }));
  }

  /** Writes every frame that arrives in this time into a file, as a `Recording`. */
  async record(forMs: number, file: string): Promise<void> {
    await this.#run({ type: 'record', forMs, file });
  }

  /** Stops reading. */
  async stall(): Promise<void> {
    await this.#run({ type: 'stall' });
  }

  /** Cuts all connections at once and reopens them over this time, with their cursors. */
  async reconnect(withinMs: number): Promise<Reconnected> {
    return reconnected.parse(await this.#run({ type: 'reconnect', withinMs }));
  }

  async #run(command: Command): Promise<unknown> {
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    this.send({ number, command });
    const reply = await this.line((line) => (line['number'] === number ? line : undefined));
    if (typeof reply['failure'] === 'string') throw new Error(`${command.type}: ${reply['failure']}`);
    return reply['result'];
  }
}
