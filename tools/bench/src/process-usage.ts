import { readdirSync, readFileSync } from 'node:fs';

// The kernel counts in ticks of USER_HZ, which is 100 on every Linux that Node runs on.
const usInTick = 10_000;

/** User and system CPU time of a process so far, in µs. */
export function processCpuUs(pid: number): number {
  return readStat(pid).ownUs;
}

/** Including its children, running and ended. */
export function processTreeCpuUs(pid: number): number {
  for (;;) {
    const { endedChildrenUs } = readStat(pid);
    const childrenUs = runningChildrenUs(pid);
    const parent = readStat(pid);
    // A child that ended meanwhile may be missing from both sums.
    if (parent.endedChildrenUs === endedChildrenUs) return parent.ownUs + endedChildrenUs + childrenUs;
  }
}

function runningChildrenUs(pid: number): number {
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
  return childrenUs;
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

/** Peak resident memory of a process. */
export function peakRssBytes(pid: number): number {
  return readNumber(pid, 'status', /^VmHWM:\s+(\d+)/mu) * 1024;
}

/** Resident memory of a process. */
export function rssBytes(pid: number): number {
  return readNumber(pid, 'status', /^VmRSS:\s+(\d+)/mu) * 1024;
}

/** The limit of open files and sockets of a process. */
export function openFilesLimit(pid: number): number {
  return readNumber(pid, 'limits', /^Max open files\s+(\d+)/mu);
}

function readNumber(pid: number, file: string, pattern: RegExp): number {
  return Number(pattern.exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))?.[1]);
}
