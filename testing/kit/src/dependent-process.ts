import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A child process that lives no longer than this one; see `lifeline.ts` for its side. */
export interface DependentProcess {
  send(message: unknown): void;
  /** Keeps this process alive until the function is called: for as long as an answer is awaited. */
  hold(): () => void;
  /** Ends the child's stdin and waits until it has tidied up and gone. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a script of this package in a process of its own that ends when this one does, whatever
 * ended it.
 *
 * `detached`, so that a Ctrl-C in the terminal, which reaches the whole process group, leaves the
 * tidying up to the lifeline and does not hit server and client at once. The child alone does not
 * keep this process alive.
 */
export function startDependent(options: {
  readonly script: URL;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Takes each line of the child's stdout: one message, as JSON. */
  readonly hear: (line: string) => void;
  readonly ended: (how: string) => void;
}): DependentProcess {
  const child = spawn(process.execPath, [fileURLToPath(options.script), ...(options.args ?? [])], {
    detached: true,
    env: options.env ?? process.env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { stdin, stdout } = child;
  child.once('exit', (code, signal) => {
    options.ended(signal ?? `exit code ${String(code)}`);
  });
  // Writing to a child that has just ended: its 'exit' says so.
  stdin.on('error', () => undefined);
  createInterface({ input: stdout }).on('line', (line) => {
    options.hear(line);
  });

  let holders = 0;
  const setHeld = (isHeld: boolean): void => {
    for (const handle of [child, stdin, stdout]) {
      if (!(handle === child || handle instanceof Socket)) continue;
      if (isHeld) handle.ref();
      else handle.unref();
    }
  };
  setHeld(false);
  const hold = (): (() => void) => {
    holders += 1;
    if (holders === 1) setHeld(true);
    let isHolding = true;
    return () => {
      if (!isHolding) return;
      isHolding = false;
      holders -= 1;
      if (holders === 0) setHeld(false);
    };
  };

  return {
    send: (message) => {
      stdin.write(`${JSON.stringify(message)}\n`);
    },
    hold,
    [Symbol.asyncDispose]: async () => {
      const release = hold();
      stdin.end();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      release();
    },
  };
}
