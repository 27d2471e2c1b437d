import type { ConformanceCase, Schedule } from './conformance-case.ts';
import type { Target } from './target.ts';

export type CaseResult = { readonly title: string } & (
  | { readonly status: 'passed' }
  | { readonly status: 'failed'; readonly error: unknown }
  | { readonly status: 'not tested'; readonly missing: readonly string[] }
);

/** Each parallel case starts a server. */
const maxParallel = 3;

/** Runs each case by its schedule and reports each result as soon as it is known. */
export async function runCases(
  cases: readonly ConformanceCase[],
  target: Target,
  onResult: (result: CaseResult) => void = () => undefined,
): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  const run = async (conformanceCase: ConformanceCase): Promise<void> => {
    const result = await runCase(conformanceCase, target);
    results.push(result);
    onResult(result);
  };
  const scheduled = (schedule: Schedule): readonly ConformanceCase[] =>
    cases.filter((each) => each.schedule === schedule);
  const background = scheduled('background').map(run);
  for (const each of scheduled('serial')) await run(each);
  const queue = scheduled('parallel').values();
  const worker = async (): Promise<void> => {
    for (const each of queue) await run(each);
  };
  await Promise.all([...Array.from({ length: maxParallel }, worker), ...background]);
  return results;
}

async function runCase({ title, missing, check }: ConformanceCase, target: Target): Promise<CaseResult> {
  const missingNames = missing(target);
  if (missingNames.length > 0) return { title, status: 'not tested', missing: missingNames };
  try {
    await check(target);
    return { title, status: 'passed' };
  } catch (error) {
    return { title, status: 'failed', error };
  }
}

/** The output line of a result. Shortened, since an error may quote the server. */
export function describeResult(result: CaseResult): string {
  if (result.status === 'passed') return `passed      ${result.title}`;
  if (result.status === 'not tested')
    return `not tested  ${result.title}: needs ${result.missing.join(' and ')}`;
  const reason = result.error instanceof Error ? result.error.message : String(result.error);
  return `FAILED      ${result.title}\n            ${reason.replaceAll('\n', '\n            ').slice(0, 1_000)}`;
}

export function summarise(results: readonly CaseResult[]): string {
  const count = (status: CaseResult['status']): number =>
    results.filter((result) => result.status === status).length;
  return `${count('passed')} passed, ${count('failed')} failed, ${count('not tested')} not tested`;
}
