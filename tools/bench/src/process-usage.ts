import { readdirSync, readFileSync } from 'node:fs';

// The kernel counts in ticks of USER_HZ, which is 100 on every Linux that Node runs on.
const usInTick = 10_000;

/** User and system CPU time of a process so far, in µs. */
export function processCpuUs(pid: number): number {
  return readStat(pid).ownUs;
}

/** Including its children, running and ended. */
export function processTreeCpuUs(pid: number): number {
  const { ownUs, endedChildrenUs } = readStat(pid);
  let childrenUs = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/u.test(name)) continue;
    try {
      const child = readStat(Number(name));
      if (child.parent === pid) childrenUs += child.ownUs;
    } catch {
      // It has ended since the folder was listed.
    }
  }
  return ownUs + endedChildrenUs + childrenUs;
}

/** Peak resident memory of a process. */
export function peakRssBytes(pid: number): number {
  const kib = /^VmHWM:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}

export function parentOf(pid: number): number {
  return readStat(pid).parent;
}

/** See proc_pid_stat(5); fields are counted from after the name, which may contain anything. */
function readStat(pid: number): {
  readonly parent: number;
  readonly ownUs: number;
  readonly endedChildrenUs: number;
} {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const at = (index: number): number => fields[index] ?? Number.NaN;
  return {
    parent: at(1),
    ownUs: (at(11) + at(12)) * usInTick,
    endedChildrenUs: (at(13) + at(14)) * usInTick,
  };
}

/** The limit of open files and sockets of a process. */
export function openFilesLimit(pid: number): number {
  return Number(/^Max open files\s+(\d+)/mu.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1]);
}

/** Resident memory of a process. */
export function rssBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}
