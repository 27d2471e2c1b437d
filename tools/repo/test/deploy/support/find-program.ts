import { spawnSync } from 'node:child_process';
import { repositoryPath } from '../../../src/deploy/repository.ts';

/** Path of a program on the PATH or installed by `./run test`; undefined if there is none. */
export function findProgram(name: string): string | undefined {
  const env = { PATH: `${process.env['PATH']}:${repositoryPath('.toolchain/bin')}` };
  const { stdout } = spawnSync('sh', ['-c', `command -v ${name}`], { env, encoding: 'utf8' });
  return stdout.trim() || undefined;
}
