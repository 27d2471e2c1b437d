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

const usualLimitMs = 60_000;
const longestOutputBytes = 32 * 1024 * 1024;

/** Runs `docker …` and returns what it wrote to stdout. Rejects with the end of what it said where it fails. */
export async function docker(args: readonly string[], options: DockerOptions = {}): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('docker', args, {
      env: { ...process.env, ...options.env },
      timeout: options.timeoutMs ?? usualLimitMs,
      maxBuffer: longestOutputBytes,
    });
    return stdout.trim();
  } catch (error) {
    const { stderr = '', stdout = '', killed = false }: FailedRun = Object(error);
    const said = `${stdout}\n${stderr}`.trim().slice(-4000);
    const how = killed ? 'took too long' : 'failed';
    throw new Error(`docker ${args.join(' ')} ${how}:\n${said}`, { cause: error });
  }
}
