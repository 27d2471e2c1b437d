import { Program } from '@app/test-kit/program';

export interface ClientsOptions {
  readonly url: string;
  readonly origin: string;
  readonly topic: string;
  readonly viewers: number;
  /** Assigned to the viewers round-robin. */
  readonly sessions: readonly string[];
}

/** Counts since the start. */
export interface ClientsReport {
  readonly watching: number;
  /** Watching viewers that hold the expected fixes. */
  readonly upToDate: number;
  /** Rows older than an earlier one of the same device. */
  readonly olderRows: number;
  /** `reconnect` messages. */
  readonly reconnectMessages: number;
  /** Subscriptions resumed from a cursor. */
  readonly resumes: number;
  /** Lost connections by close code. */
  readonly closes: Readonly<Record<string, number>>;
  /** Refused upgrades by status. */
  readonly refusals: Readonly<Record<string, number>>;
  /** How often a viewer was watching again after it had lost its connection. */
  readonly reconnects: number;
}

export interface TestClients extends AsyncDisposable {
  /** @param expected fix times by device. */
  report(expected: Readonly<Record<string, number>>): Promise<ClientsReport>;
}

/** Starts viewers in a process of their own; they continue to open after this has returned. */
export function startClients(options: ClientsOptions): TestClients {
  const main = new URL('clients.ts', import.meta.url);
  const program = new Program({ main, args: [JSON.stringify(options)], env: process.env });
  return {
    report: async (expected) => {
      const skip = program.lines.length;
      program.send(expected);
      const report = await program.line((line) => (line['watching'] === undefined ? undefined : line.msg), {
        skip,
      });
      return JSON.parse(report);
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
