import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface ClientsOptions {
  readonly url: string;
  readonly origin: string;
  readonly topic: string;
  readonly viewers: number;
  /** Shared out among the viewers. */
  readonly sessions: readonly string[];
}

/** How a crowd is; counts since its beginning. */
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

const crowdPath = fileURLToPath(new URL('clients.ts', import.meta.url));

/** Starts viewers in a process of their own; it ends with this one. They go on opening after this has returned. */
export function startClients(options: ClientsOptions): TestClients {
  const child = spawn(process.execPath, [crowdPath, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  return {
    report: async (expected) => {
      child.stdin.write(`${JSON.stringify(expected)}\n`);
      const [line] = await Promise.race([
        once(lines, 'line'),
        exited.then(() => Promise.reject(new Error('the crowd has ended'))),
      ]);
      return JSON.parse(String(line));
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
