import { eventually } from '@app/test-kit/eventually';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { readMetric } from '@app/test-kit/read-metric';

export interface ProcessorOptions {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  /** One key, or several with commas between. */
  readonly stream: string;
  /** Further settings, by their names in the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** A module that is loaded into the process before its own code. */
  readonly preload?: URL;
}

/** A line of the log: JSON with `msg`, or any other text (a crash, a warning of Node's) as `msg`. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

export interface OpsAnswer {
  readonly status: number;
  readonly body: string;
}

/** How a process ended: one of the two is not null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The end of a processor that was asked to stop and had nothing left to do. */
export const cleanExit: Exit = { code: 0, signal: null };

/** The processor as it runs in production: a process of its own, settings in, JSON lines and metrics out. */
export interface RunningProcessor extends AsyncDisposable {
  readonly pid: number;
  /** All that it has logged so far. */
  readonly lines: readonly LogLine[];
  readonly isRunning: boolean;
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
  /** Asks it to stop, as an operator does, and waits for its end. */
  stop(): Promise<Exit>;
  /** Ends it at once, as a power cut does, and waits for its end. */
  crash(): Promise<void>;
  /** The sum over the series with these labels; undefined where there is none. */
  metrics(name: string, labels?: Readonly<Record<string, string>>): Promise<number | undefined>;
  /** All metrics, as text. */
  exposition(): Promise<string>;
  healthz(): Promise<OpsAnswer>;
  readyz(): Promise<OpsAnswer>;
  untilReady(): Promise<void>;
  /** The first line whose message matches, waited for; of those after the first `skip` lines. */
  logged(
    message: RegExp,
    options?: { readonly skip?: number; readonly timeoutMs?: number },
  ): Promise<LogLine>;
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const endWithParent = new URL('end-with-parent.ts', import.meta.url);

/** Short waits, so that a test need not wait long for what production does after a minute. */
const quickSettings = {
  LOG_LEVEL: 'debug',
  METRICS_PORT: '0',
  BATCH_BLOCK_MS: '200',
  CLAIM_IDLE_MS: '300',
  CLAIM_INTERVAL_MS: '200',
  DRAIN_TIMEOUT_MS: '5000',
  WRITE_TIMEOUT_MS: '1000',
};

/** The flags that the image starts Node with: memory is what they make of it. */
async function imageFlags(): Promise<readonly string[]> {
  const text = await readFile(new URL('../../Dockerfile', import.meta.url), 'utf8');
  const command: unknown = JSON.parse(/^CMD (\[.*\])$/mu.exec(text)?.[1] ?? 'null');
  if (!Array.isArray(command)) throw new TypeError('the Dockerfile has no CMD');
  return command.slice(1, -1).map(String);
}

/**
 * As the image has it: sources without types, for a process that does not hold what strips them. Without settings the
 * service ends when all of it is loaded. The folder is for `NODE_COMPILE_CACHE`.
 */
export async function compileSources(): Promise<AsyncDisposable & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'processor-compiled-'));
  const flags = [...(await imageFlags()), '--import', endWithParent.href];
  const child = spawn(process.execPath, [...flags, main], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { NODE_COMPILE_CACHE: folder },
  });
  await once(child, 'close');
  if (child.exitCode !== 78)
    throw new Error(`the processor ended with ${child.exitCode}, not for want of settings`);
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** Starts the service and waits until its ops endpoints listen; rejects with its last words if it ends before. */
export async function startProcessor(options: ProcessorOptions): Promise<RunningProcessor> {
  const modules = [endWithParent, ...(options.preload === undefined ? [] : [options.preload])];
  const flags = [...(await imageFlags()), ...modules.flatMap(({ href }) => ['--import', href])];
  const child = spawn(process.execPath, [...flags, main], {
    // A Ctrl-C in the terminal is for the test run, which ends its processors itself.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      ...quickSettings,
      REDIS_URL: options.redisUrl,
      POSTGRES_URL: options.postgresUrl,
      REDIS_TELEMETRY_STREAM: options.stream,
      ...options.env,
    },
  });
  const lines: LogLine[] = [];
  for (const output of [child.stdout, child.stderr]) {
    createInterface({ input: output }).on('line', (line) => lines.push(readLine(line)));
  }
  child.stdin.on('error', () => undefined);
  const ended = once(child, 'close').then((): Exit => ({ code: child.exitCode, signal: child.signalCode }));
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;

  const logged: RunningProcessor['logged'] = async (message, { skip = 0, timeoutMs = 15_000 } = {}) => {
    const find = (): LogLine | undefined => lines.slice(skip).find(({ msg }) => message.test(msg));
    try {
      const found = await eventually(() => find() ?? (isRunning() ? undefined : null), { timeoutMs });
      // All that it said is read once its streams are closed.
      if (found !== null) return found;
      await ended;
      const last = find();
      if (last !== undefined) return last;
      throw new Error(`the processor ended with ${child.signalCode ?? child.exitCode}`);
    } catch (error) {
      const said = lines.slice(-20).map((line) => JSON.stringify(line));
      throw new Error(`no line ${String(message)}; the last it said:\n${said.join('\n')}`, { cause: error });
    }
  };

  const { metricsPort } = await logged(/^ops listening$/u);
  const ask = async (path: string): Promise<OpsAnswer> => {
    const response = await fetch(`http://127.0.0.1:${String(metricsPort)}${path}`, {
      signal: AbortSignal.timeout(5000),
    });
    return { status: response.status, body: await response.text() };
  };
  const exposition = async (): Promise<string> => (await ask('/metrics')).body;
  const crash = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return {
    pid: child.pid ?? 0,
    lines,
    get isRunning() {
      return isRunning();
    },
    exited: ended,
    kill: (signal) => {
      child.kill(signal);
    },
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
    crash,
    metrics: async (name, labels) => readMetric(await exposition(), name, labels),
    exposition,
    healthz: () => ask('/healthz'),
    readyz: () => ask('/readyz'),
    untilReady: async () => {
      await eventually(
        async () => {
          const { status, body } = await ask('/readyz');
          if (status !== 200) throw new Error(body);
          return true;
        },
        { timeoutMs: 15_000 },
      );
    },
    logged,
    [Symbol.asyncDispose]: crash,
  };
}

function readLine(line: string): LogLine {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && 'msg' in value && typeof value.msg === 'string') {
      return { ...value, msg: value.msg };
    }
  } catch {
    // Not of the log: the text stands for itself.
  }
  return { msg: line };
}
