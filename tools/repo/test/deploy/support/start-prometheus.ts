import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startOnFreePort } from '@app/test-kit/free-port';
import { startSupervisor } from '@app/test-kit/supervisor';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { readRepositoryFile, repositoryPath } from '../../../src/deploy/repository.ts';

export interface RunningPrometheus extends AsyncDisposable {
  /** The `data` of a response of the HTTP API; rejects with the error of the response. */
  ask(path: string, parameters?: Readonly<Record<string, string>>): Promise<unknown>;
}

const configuration = z.looseObject({
  scrape_configs: z.array(z.looseObject({ job_name: z.string() })),
});
const answer = z.union([
  z.object({ status: z.literal('success'), data: z.unknown() }),
  z.object({ status: z.literal('error'), error: z.string() }),
]);

/** Starts Prometheus with the shipped configuration and rules, but with local targets and intervals of 1 s. */
export async function startPrometheus(
  file: string,
  targets: Readonly<Record<string, number>>,
): Promise<RunningPrometheus> {
  await using stack = new AsyncDisposableStack();
  const supervisor = stack.use(await startSupervisor());
  const shipped = configuration.parse(parse(readRepositoryFile('deploy/prometheus/prometheus.yml')));
  const config = {
    ...shipped,
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [repositoryPath('deploy/prometheus/*.rules.yml')],
    scrape_configs: shipped.scrape_configs.map((job) => {
      const { dns_sd_configs: _replaced, ...rest } = job;
      return Object.assign(rest, { static_configs: [{ targets: [`127.0.0.1:${targets[job.job_name]}`] }] });
    }),
  };
  const folder = join(supervisor.folder, 'prometheus');
  await mkdir(folder);
  await writeFile(join(folder, 'prometheus.yml'), stringify(config));
  const url = await startOnFreePort(async (port) => {
    await supervisor.runUntil(
      {
        file,
        args: [
          `--config.file=${join(folder, 'prometheus.yml')}`,
          `--storage.tsdb.path=${join(folder, 'data')}`,
          `--web.listen-address=127.0.0.1:${port}`,
        ],
        endSignal: 'SIGKILL',
      },
      async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok,
    );
    return `http://127.0.0.1:${port}`;
  });
  const owned = stack.move();
  return {
    ask: async (path, parameters = {}) => {
      const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`);
      const read = answer.parse(await response.json());
      if (read.status === 'error') throw new Error(read.error);
      return read.data;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
