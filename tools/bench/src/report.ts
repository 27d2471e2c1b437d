import type { Machine } from './describe-machine.ts';
import { formatNumber } from './format-number.ts';
import type { ServerSettings } from './servers.ts';

type Cell = string | number;

/** Columns of numbers are right-aligned. */
export function markdownTable(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const isNumeric = (column: number): boolean => rows.every((row) => typeof row[column] === 'number');
  const rule = head.map((_, column) => (isNumeric(column) ? '---:' : '---'));
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? formatNumber(cell) : cell)));
  return [head, rule, ...cells].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** Has one of the two limits. */
export interface Goal {
  readonly name: string;
  readonly measured: number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export function goalTable(goals: readonly Goal[]): string {
  return markdownTable(
    ['goal', 'limit', 'measured', 'reached'],
    goals.map(({ name, measured, atLeast = -Infinity, atMost = Infinity }) => [
      name,
      atMost === Infinity ? `at least ${formatNumber(atLeast)}` : `at most ${formatNumber(atMost)}`,
      measured,
      measured >= atLeast && measured <= atMost ? 'yes' : '**no**',
    ]),
  );
}

/** The machine and servers of a run, and whether the machine was too busy to judge the rates. */
export function conditions(
  { cpu, cores, memoryGiB, os, node, loadBefore }: Machine,
  servers: ServerSettings,
): string {
  const table = markdownTable(
    ['', ''],
    [
      ['machine', `${cpu}, ${cores} cores shared by all processes, ${memoryGiB} GiB, ${os}`],
      ['load before the start', formatNumber(loadBefore)],
      [
        'versions',
        `Node ${node}, Redis ${servers.redis}, PostgreSQL ${servers.postgres}, TimescaleDB ${servers.timescaledb}`,
      ],
      [
        'durability',
        `fsync ${servers.fsync}, synchronous_commit ${servers.synchronousCommit}, ${formatNumber(servers.commitMs)} ms per commit`,
      ],
    ],
  );
  if (loadBefore <= cores / 4) return table;
  return `${table}

**The machine was too busy to judge rates and latencies** (load ${formatNumber(loadBefore)} on ${cores} cores). CPU per item is still meaningful.`;
}
