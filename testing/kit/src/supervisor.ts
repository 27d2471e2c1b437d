import { basename } from 'node:path';
import { eventually } from './eventually.ts';
import { Program } from './program.ts';

/** The user that a command runs as: Postgres refuses to be root. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface SupervisedCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly user?: SystemUser | undefined;
  /** Sent when its data no longer matters. */
  readonly endSignal: NodeJS.Signals;
}

export interface SupervisorRequest extends SupervisedCommand {
  readonly id: number;
}

export type SupervisorReply =
  | { readonly folder: string }
  | { readonly id: number; readonly pid: number }
  | { readonly id: number; readonly failed: string }
  | ({ readonly id: number } & ProcessEnd);

export interface ProcessEnd {
  /** `exit code 1` or a signal's name. */
  readonly exit: string;
  /** The end of its output, at most 4000 characters. */
  readonly output: string;
}

export interface SupervisedProcess {
  readonly pid: number;
  /** Undefined while it runs. */
  readonly ended: () => ProcessEnd | undefined;
  readonly whenEnded: Promise<ProcessEnd>;
}

/** A process beside this one that runs servers, which end when this one does. */
export interface Supervisor extends AsyncDisposable {
  /** A temporary folder that all may enter and only this user may list; removed at the end. */
  readonly folder: string;
  /** Starts a server and waits until `probe` returns a value; rejects if it cannot start or ends before. Default: 30 s. */
  runUntil<T extends object | string | true>(
    command: SupervisedCommand,
    probe: (pid: number) => Promise<T | undefined | false>,
    timeoutMs?: number,
  ): Promise<{ readonly process: SupervisedProcess; readonly value: T }>;
  /** Runs a command to its end; rejects with its output unless it exits with 0. */
  runToEnd(command: SupervisedCommand): Promise<void>;
}

const startTimeoutMs = 30_000;

export async function startSupervisor(): Promise<Supervisor> {
  const program = new Program({
    main: new URL('supervisor-process.ts', import.meta.url),
    env: process.env,
    isBackground: true,
  });
  const reply = <T>(pick: (reply: SupervisorReply) => T | undefined, keepsAlive = true): Promise<T> =>
    program.line(({ msg }) => pick(JSON.parse(msg)), { keepsAlive });
  const folder = await reply((message) => ('folder' in message ? message.folder : undefined));
  let lastId = 0;

  async function start(command: SupervisedCommand): Promise<{ readonly id: number; readonly pid: number }> {
    lastId += 1;
    const id = lastId;
    const request: SupervisorRequest = { id, ...command };
    program.send(request);
    const started = await reply((message) =>
      'id' in message && message.id === id && !('exit' in message) ? message : undefined,
    );
    if ('failed' in started) throw new Error(`${command.file} could not be started: ${started.failed}`);
    return started;
  }

  const endOf = (id: number, keepsAlive: boolean): Promise<ProcessEnd> =>
    reply((message) => ('exit' in message && message.id === id ? message : undefined), keepsAlive);

  async function run(command: SupervisedCommand): Promise<SupervisedProcess> {
    const { id, pid } = await start(command);
    let end: ProcessEnd | undefined;
    const whenEnded = endOf(id, false)
      .catch((error: unknown): ProcessEnd => ({ exit: 'its supervisor', output: String(error) }))
      .then((ended) => (end = ended));
    return { pid, ended: () => end, whenEnded };
  }

  return {
    folder,
    runUntil: async (command, probe, timeoutMs = startTimeoutMs) => {
      const process = await run(command);
      const outcome = await eventually(
        async () => {
          const end = process.ended();
          if (end !== undefined) return { end };
          const value = await probe(process.pid);
          return value !== undefined && value !== false && { value };
        },
        { timeoutMs, intervalMs: 10 },
      );
      if ('value' in outcome) return { process, value: outcome.value };
      throw new Error(`${basename(command.file)} ended with ${outcome.end.exit}:\n${outcome.end.output}`);
    },
    runToEnd: async (command) => {
      const { id } = await start(command);
      const { exit, output } = await endOf(id, true);
      if (exit !== 'exit code 0') throw new Error(`${command.file} ended with ${exit}:\n${output}`);
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
