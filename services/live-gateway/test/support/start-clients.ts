import { Program } from '@app/test-kit/program';

export interface ClientsOptions {
  readonly url: string;
  readonly origin: string;
  readonly topic: string;
  readonly viewers: number;
  /** Shared out among the viewers. */
  readonly sessions: readonly string[];
}

/** Counts since the start. */
export interface ClientsReport {
  readonly watching: number;
  /** Those of them who hold what was asked about. */
  readonly right: number;
  /** Positions that were older than the one held. */
  readonly stepsBack: number;
  /** `reconnect` messages. */
  readonly farewells: number;
  /** Subscriptions that went on where they had ended. */
  readonly resumes: number;
  /** Lost connections by close code. */
  readonly closes: Readonly<Record<string, number>>;
  /** Refused upgrades by status. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Whenever one who had lost its subscription had it again. */
  readonly returnedAtMs: readonly number[];
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
