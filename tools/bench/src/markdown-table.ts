/** @param right indices of the right-aligned columns. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const rule = head.map((_, column) => (right.includes(column) ? '---:' : '---'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export interface Goal {
  readonly goal: string;
  readonly measured: string;
  readonly isReached: boolean;
}

export function goalTable(goals: readonly Goal[]): string {
  const rows = goals.map(({ goal, measured, isReached }) => [goal, measured, isReached ? 'yes' : '**no**']);
  return markdownTable(['goal', 'measured', 'reached'], rows, [1]);
}
