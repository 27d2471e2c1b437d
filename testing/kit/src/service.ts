import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Program, type ProgramOptions, runProgram } from './program.ts';
import { readMetric } from './read-metric.ts';

export type ServiceName = 'processor' | 'live-gateway';

export interface ServiceOptions extends Pick<ProgramOptions, 'env' | 'keptLines'> {
  /** Modules that are loaded before its own code. */
  readonly preload?: readonly URL[];
}

export interface OpsResponse {
  readonly status: number;
  readonly body: string;
}

const readyTimeoutMs = 60_000;
const responseTimeoutMs = 5000;

/** A service as it runs in production: a process of its own, settings in, JSON lines and metrics out. */
export class Service extends Program {
  #opsUrl: string | undefined;

  constructor(name: ServiceName, { preload = [], ...options }: ServiceOptions) {
    const imports = preload.flatMap(({ href }) => ['--import', href]);
    super({ ...options, name, main: mainOf(name), nodeOptions: [...nodeOptionsOfImage(name), ...imports] });
  }

  /** Waits until its ops server listens. */
  async opsUrl(signal?: AbortSignal): Promise<string> {
    this.#opsUrl ??= `http://127.0.0.1:${await this.readNumber('metricsPort', signal)}`;
    return this.#opsUrl;
  }

  /** The number in the first line that has this field, waited for. */
  async readNumber(field: string, signal?: AbortSignal): Promise<number> {
    const pick = (line: Readonly<Record<string, unknown>>): number | undefined => {
      const value = line[field];
      return typeof value === 'number' ? value : undefined;
    };
    return await this.line(pick, signal === undefined ? {} : { signal });
  }

  async healthz(): Promise<OpsResponse> {
    return await this.#get('/healthz');
  }

  async readyz(): Promise<OpsResponse> {
    return await this.#get('/readyz');
  }

  /** The text of `/metrics`. */
  async exposition(): Promise<string> {
    return (await this.#get('/metrics')).body;
  }

  /** The sum over the series with these labels; undefined where there is none. */
  async metrics(name: string, labels?: Readonly<Record<string, string>>): Promise<number | undefined> {
    return readMetric(await this.exposition(), name, labels);
  }

  /** Waits until `/readyz` answers 200. */
  async untilReady(signal?: AbortSignal): Promise<void> {
    const timeout = AbortSignal.timeout(readyTimeoutMs);
    const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    let last = 'its ops server does not listen';
    try {
      await this.opsUrl(either);
      for (;;) {
        if (!this.isRunning) throw await this.exitError();
        const { status, body } = await this.readyz().catch((error: unknown) => ({
          status: 0,
          body: String(error),
        }));
        if (status === 200) return;
        last = body;
        await sleep(20, undefined, { signal: either });
      }
    } catch (error) {
      if (!timeout.aborted || signal?.aborted === true) throw error;
      throw new Error(
        `${this.name} is not ready after ${readyTimeoutMs / 1000} s: ${last}. ${this.lastLines()}`,
        {
          cause: error,
        },
      );
    }
  }

  async #get(path: string): Promise<OpsResponse> {
    const response = await fetch(`${await this.opsUrl()}${path}`, {
      signal: AbortSignal.timeout(responseTimeoutMs),
    });
    return { status: response.status, body: await response.text() };
  }
}

/** Node's options in the command of a service's image. */
export function nodeOptionsOfImage(name: ServiceName): readonly string[] {
  const dockerfile = readFileSync(new URL('Dockerfile', folderOf(name)), 'utf8');
  const command: unknown = JSON.parse(/^CMD (\[.*\])$/mu.exec(dockerfile)?.[1] ?? 'null');
  if (!Array.isArray(command)) throw new Error(`the Dockerfile of ${name} has no CMD in JSON`);
  return command.map(String).filter((word) => word.startsWith('--'));
}

/**
 * Compiles a service's sources into a folder for `NODE_COMPILE_CACHE`, as its image does. Without settings the service
 * exits with 78 when all of it is loaded.
 */
export async function compileSources(
  name: ServiceName,
): Promise<AsyncDisposable & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), `${name}-compiled-`));
  const env = { NODE_COMPILE_CACHE: folder };
  const { code } = await runProgram({ main: mainOf(name), env, nodeOptions: nodeOptionsOfImage(name) });
  if (code !== 78) throw new Error(`${name} exited with ${code}, not for want of settings`);
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

function mainOf(name: ServiceName): URL {
  return new URL('src/main.ts', folderOf(name));
}

function folderOf(name: ServiceName): URL {
  return new URL(`../../../services/${name}/`, import.meta.url);
}
