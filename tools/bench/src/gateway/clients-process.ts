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
  | { readonly type: 'reset' | 'report' }
  | { readonly type: 'record'; readonly forMs: number; readonly file: string }
  | { readonly type: 'stall'; readonly clients: number }
  | { readonly type: 'reconnect'; readonly withinMs: number };

/** Counts since the last reset. */
const report = z.object({
  frames: z.number(),
  bytes: z.number(),
  /** From the fix time, which is the send time, to the arrival. */
  latenciesMs: z.array(z.number()),
  /** Clients closed by the server since the start. */
  closed: z.number(),
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

export interface Clients extends AsyncDisposable {
  /** Resolves once all are live. */
  open(options: ClientsOptions): Promise<void>;
  /** Sets the counts to 0. */
  reset(): Promise<void>;
  report(): Promise<Report>;
  record(forMs: number, file: string): Promise<void>;
  stall(clients: number): Promise<void>;
  reconnect(withinMs: number): Promise<Reconnected>;
}

/** Starts a process that holds clients; see `run-clients.ts`. */
export function startClients(): Clients {
  // A report has the latency of every position.
  const program = new Program({ main: new URL('run-clients.ts', import.meta.url), keptLines: 10 });
  let lastNumber = 0;
  async function run(command: Command): Promise<unknown> {
    lastNumber += 1;
    const number = lastNumber;
    program.send({ number, command });
    const reply = await program.line((line) => (line['number'] === number ? line : undefined));
    if (typeof reply['failure'] === 'string') throw new Error(`${command.type}: ${reply['failure']}`);
    return reply['result'];
  }
  return {
    open: async (options) => void (await run({ type: 'open', options })),
    reset: async () => void (await run({ type: 'reset' })),
    report: async () => report.parse(await run({ type: 'report' })),
    record: async (forMs, file) => void (await run({ type: 'record', forMs, file })),
    stall: async (clients) => void (await run({ type: 'stall', clients })),
    reconnect: async (withinMs) => reconnected.parse(await run({ type: 'reconnect', withinMs })),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
