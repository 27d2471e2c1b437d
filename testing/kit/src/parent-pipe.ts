/**
 * The child's side of a background `Program`: messages of the parent are JSON lines on stdin, and the end of stdin is
 * the end of the parent. The kernel closes that pipe however the parent ended, SIGKILL included; no signal or exit hook
 * is as reliable.
 */
import { createInterface } from 'node:readline';

/** Writes one message for the parent. A parent that is gone is no error: the pipe ends as well. */
export function sendToParent(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/**
 * Passes each line of the parent to `onLine`. When the parent is gone or this process is asked to stop, runs `cleanUp`
 * and exits. It exits after `timeoutMs` in any case: a container engine that hangs must not keep an orphan.
 */
export function cleanUpWithParent(options: {
  readonly onLine?: (line: string) => void;
  readonly cleanUp: () => Promise<void>;
  readonly timeoutMs: number;
}): void {
  let isEnding = false;
  const end = (): void => {
    if (isEnding) return;
    isEnding = true;
    void cleanUpAndExit(options.cleanUp, options.timeoutMs);
  };
  // The pipe to a parent that was killed breaks.
  process.stdout.on('error', end);
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
  lines.on('line', (line) => options.onLine?.(line));
  lines.on('close', end);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
}

async function cleanUpAndExit(cleanUp: () => Promise<void>, timeoutMs: number): Promise<never> {
  setTimeout(() => fail(`did not finish within ${timeoutMs} ms`), timeoutMs);
  try {
    await cleanUp();
  } catch (error) {
    fail(`failed: ${String(error)}`);
  }
  process.exit(0);
}

function fail(problem: string): never {
  process.stderr.write(`clean-up ${problem}\n`);
  process.exit(1);
}
