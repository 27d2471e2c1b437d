import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface DockerOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

interface FailedRun {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly killed?: boolean;
}

const defaultTimeoutMs = 60_000;
const maxOutputBytes = 32 * 1024 * 1024;

/** Runs docker and returns its stdout. Rejects with the end of its output if it fails. */
export async function docker(args: readonly string[], options: DockerOptions = {}): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('docker', args, {
      env: { ...process.env, ...options.env },
      timeout: options.timeoutMs ?? defaultTimeoutMs,
      maxBuffer: maxOutputBytes,
    });
    return stdout.trim();
  } catch (error) {
    const { stderr = '', stdout = '', killed = false }: FailedRun = Object(error);
    const output = `${stdout}\n${stderr}`.trim().slice(-4000);
    const outcome = killed ? 'timed out' : 'failed';
    throw new Error(`docker ${args.join(' ')} ${outcome}:\n${output}`, { cause: error });
  }
}
