import { messageOf } from '@app/runtime/message-of';

/** The result of one check. */
export interface Finding {
  /** `failed`: something does not work, or data is at risk. `note`: worth knowing, or it could not be checked. */
  readonly level: 'ok' | 'note' | 'failed';
  readonly check: string;
  readonly found: string;
  /** What to do about it. */
  readonly todo?: string;
}

export interface Group {
  readonly title: string;
  readonly findings: readonly Finding[];
}

/** By a name for the case that one rejects. */
export type Checks = Readonly<Record<string, () => Promise<readonly Finding[]>>>;

export function ok(check: string, found: string): Finding {
  return { level: 'ok', check, found };
}

export function note(check: string, found: string, todo?: string): Finding {
  return { level: 'note', check, found, ...(todo !== undefined && { todo }) };
}

export function failed(check: string, found: string, todo: string): Finding {
  return { level: 'failed', check, found, todo };
}

export function countOf(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** Runs the checks of a group; one that rejects becomes a failed finding. */
export async function runChecks(title: string, checks: Checks): Promise<Group> {
  const findings: Finding[] = [];
  for (const [check, run] of Object.entries(checks)) {
    try {
      findings.push(...(await run()));
    } catch (error) {
      findings.push(
        failed(check, `the check failed: ${messageOf(error)}`, 'See the message; then run it again'),
      );
    }
  }
  return { title, findings };
}
