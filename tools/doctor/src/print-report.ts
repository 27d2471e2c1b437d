import { countOf, type Group } from './finding.ts';

const labels = { ok: 'ok', note: 'note', failed: 'FAILED' } as const;

/** A screen of text: a line per finding, and below a failed one what to do. */
export function printReport(groups: readonly Group[]): string {
  const lines = groups.flatMap(({ title, findings }) => [
    title,
    ...findings.flatMap(({ level, check, found, todo }) => [
      `  ${labels[level].padEnd(6)}  ${check.padEnd(22)}  ${printable(found)}`,
      ...(todo === undefined ? [] : [`${' '.repeat(34)}→ ${printable(todo)}`]),
    ]),
  ]);
  const findings = groups.flatMap((group) => group.findings);
  const count = (level: keyof typeof labels): number =>
    findings.filter((each) => each.level === level).length;
  return [
    ...lines,
    '',
    `${count('ok')} ok, ${countOf(count('note'), 'note')}, ${count('failed')} failed`,
  ].join('\n');
}

/** Names come from servers: without control characters they cannot write to the terminal. */
function printable(value: string): string {
  return value.replaceAll(/\p{Cc}+/gu, ' ');
}
