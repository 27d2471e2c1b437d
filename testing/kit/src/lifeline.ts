/**
 * The child's side of a dependent process: what the parent says comes as JSON lines on stdin, and
 * the end of stdin is the end of the parent. The kernel closes that pipe however the parent
 * ended: by itself, by an error, by SIGINT, by SIGKILL. No signal and no exit hook does as much.
 */
import { createInterface } from 'node:readline';

/** Tells the parent one thing. A parent that is gone is no error: the lifeline ends as well. */
export function tellParent(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/**
 * Gives each line of the parent, a message as JSON, to `hear`, and once the parent is gone, or this process is
 * asked to stop, waits for `end` and exits with 0. `end` is bounded by `limitMs`: a container
 * engine that hangs must not keep an orphan.
 */
export function holdLifeline(options: {
  readonly hear?: (line: string) => void;
  readonly end: () => Promise<void>;
  readonly limitMs: number;
}): void {
  let isEnding = false;
  const end = (): void => {
    if (isEnding) return;
    isEnding = true;
    void tidyUp(options.end, options.limitMs);
  };
  // The pipe to a parent that was killed breaks: that is the news, not an error.
  process.stdout.on('error', end);
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
  lines.on('line', (line) => options.hear?.(line));
  lines.on('close', end);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
}

async function tidyUp(end: () => Promise<void>, limitMs: number): Promise<never> {
  setTimeout(() => {
    process.stderr.write(`The clean-up did not end within ${limitMs} ms\n`);
    process.exit(1);
  }, limitMs);
  try {
    await end();
    process.exit(0);
  } catch (error) {
    process.stderr.write(`The clean-up failed: ${String(error)}\n`);
    process.exit(1);
  }
}
