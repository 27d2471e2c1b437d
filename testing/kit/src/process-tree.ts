import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Sends a signal; no error if the process has ended. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/**
 * Signals a process and then its descendants.
 *
 * Postgres puts each backend into its own process group, so a group signal reaches the postmaster only. For SIGKILL the
 * parent is stopped before its children are listed, so that it cannot fork another one in between.
 */
export function signalTree(pid: number, signal: NodeJS.Signals): void {
  if (signal === 'SIGKILL') signalProcess(pid, 'SIGSTOP');
  else signalProcess(pid, signal);
  for (const child of childrenOf(pid)) signalTree(child, signal);
  if (signal === 'SIGKILL') signalProcess(pid, signal);
}

/** The children of a process and their descendants. */
export function descendantsOf(pid: number): readonly number[] {
  const children = childrenOf(pid);
  return children.concat(children.flatMap(descendantsOf));
}

/** Also true for a zombie. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

function childrenOf(parentPid: number): number[] {
  return (process.platform === 'linux' ? listLinux() : listByPs())
    .filter((entry) => entry.parentPid === parentPid)
    .map((entry) => entry.pid);
}

interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
}

// /proc rather than `ps`: a slim image has no `ps`.
function listLinux(): ProcessEntry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readStat(Number(name));
      // "pid (name) state ppid …", where the name may contain blanks and brackets.
      const parentPid = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
      return parentPid === undefined ? [] : [{ pid: Number(name), parentPid: Number(parentPid) }];
    });
}

function readStat(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // It ended while the list was read.
  }
}

function listByPs(): ProcessEntry[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => {
      const [pid, parentPid] = line.trim().split(/\s+/).map(Number);
      return pid === undefined || parentPid === undefined ? [] : [{ pid, parentPid }];
    });
}
