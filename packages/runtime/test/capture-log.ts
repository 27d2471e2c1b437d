import { createLog } from '../src/log.ts';
import type { Logger } from '../src/log.ts';

export interface CapturedLog {
  readonly log: Logger;
  /** The lines written so far. */
  readonly lines: readonly string[];
  /** The `msg` of each line. */
  readonly messages: () => readonly string[];
}

/** A logger that writes into memory. */
export function captureLog(level = 'debug'): CapturedLog {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  return {
    log: createLog({ service: 'processor', instanceId: 'processor-1', level, destination }),
    lines,
    messages: () => lines.map((line) => /"msg":"([^"]*)"/u.exec(line)?.[1] ?? ''),
  };
}
