import { startDependent } from './dependent-process.ts';

/** The user that a command runs as: Postgres refuses to be root. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface GuardedCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly user?: SystemUser | undefined;
  /** What ends it when its data no longer matters. */
  readonly endSignal: NodeJS.Signals;
}

export interface GuardRequest extends GuardedCommand {
  readonly id: number;
}

export type GuardAnswer =
  | { readonly folder: string }
  | { readonly id: number; readonly pid: number }
  | { readonly id: number; readonly failed: string }
  | { readonly id: number; readonly exit: string; readonly output: string };

export interface GuardedProcess {
  readonly pid: number;
  /** Undefined while it runs; then how it ended and the last it said. */
  readonly ended: () => EndOfProcess | undefined;
  readonly whenEnded: Promise<EndOfProcess>;
}

export interface EndOfProcess {
  /** `exit code 1` or a signal's name. */
  readonly exit: string;
  /** The end of what it wrote, at most 4000 characters. */
  readonly output: string;
}

/** A process beside this one that runs servers and ends when this one does. */
export interface Guard {
  /** A temporary folder that all may enter and only this user may list; gone at the end. */
  readonly folder: string;
  /** Starts a command; rejects when it cannot be started at all. */
  run(command: GuardedCommand): Promise<GuardedProcess>;
  /** The same, and waits for its end; rejects, with what it wrote, unless it exits with 0. */
  runToEnd(command: GuardedCommand): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startGuard(): Promise<Guard> {
  const commands = new Map<number, CommandInHand>();
  const ready = Promise.withResolvers<string>();
  let lastId = 0;

  const guard = startDependent({
    script: new URL('./guard-process.ts', import.meta.url),
    hear: (line) => {
      const answer: GuardAnswer = JSON.parse(line);
      if ('folder' in answer) ready.resolve(answer.folder);
      else commands.get(answer.id)?.hear(answer);
    },
    ended: (how) => {
      ready.reject(new Error(`The guard of the test servers did not start: ${how}`));
      for (const command of commands.values())
        command.hear({ id: 0, exit: `guard ended: ${how}`, output: '' });
    },
  });

  const run = async (command: GuardedCommand): Promise<GuardedProcess> => {
    lastId += 1;
    const id = lastId;
    const inHand = new CommandInHand(command.file);
    commands.set(id, inHand);
    const release = guard.hold();
    try {
      const request: GuardRequest = { id, ...command };
      guard.send(request);
      return await inHand.started;
    } finally {
      release();
    }
  };

  const release = guard.hold();
  let folder: string;
  try {
    folder = await ready.promise;
  } finally {
    release();
  }

  return {
    folder,
    run,
    runToEnd: async (command) => {
      const releaseAtEnd = guard.hold();
      try {
        const { exit, output } = await (await run(command)).whenEnded;
        if (exit !== 'exit code 0') throw new Error(`${command.file} ended with ${exit}:\n${output}`);
      } finally {
        releaseAtEnd();
      }
    },
    [Symbol.asyncDispose]: () => guard[Symbol.asyncDispose](),
  };
}

class CommandInHand {
  readonly #started = Promise.withResolvers<GuardedProcess>();
  readonly #ended = Promise.withResolvers<EndOfProcess>();
  readonly #file: string;
  #end: EndOfProcess | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  get started(): Promise<GuardedProcess> {
    return this.#started.promise;
  }

  hear(answer: Exclude<GuardAnswer, { folder: string }>): void {
    if ('pid' in answer) {
      this.#started.resolve({
        pid: answer.pid,
        ended: () => this.#end,
        whenEnded: this.#ended.promise,
      });
    } else if ('failed' in answer) {
      this.#started.reject(new Error(`${this.#file} could not be started: ${answer.failed}`));
    } else {
      this.#end ??= { exit: answer.exit, output: answer.output };
      this.#ended.resolve(this.#end);
      this.#started.reject(new Error(`${this.#file} could not be started: ${answer.exit}`));
    }
  }
}
