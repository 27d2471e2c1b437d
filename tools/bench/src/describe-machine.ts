import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly os: string;
  readonly node: string;
  /** Load average of the minute before the benchmark. */
  readonly loadBefore: number;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${osName()}, Linux ${release()}, ${arch()}`,
    node: process.version,
    loadBefore: loadavg()[0] ?? Number.NaN,
  };
}

function osName(): string {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]*)/mu.exec(text)?.[1] ?? 'unknown system';
  } catch {
    return 'unknown system';
  }
}

/** As a row of a table. */
export function machineRow({ cpu, cores, memoryGiB, os, loadBefore }: Machine): [string, string] {
  const load =
    loadBefore > 0.5 ? `; **not idle**: load ${loadBefore.toFixed(1)} before the start` : '; idle before';
  return ['machine', `${cpu}, ${cores} cores shared by all processes, ${memoryGiB} GiB, ${os}${load}`];
}
