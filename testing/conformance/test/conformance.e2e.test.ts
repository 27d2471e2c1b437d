import { runProgram } from '@app/test-kit/program';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allCases } from '../src/all-cases.ts';
import { describeResult, runCases } from '../src/run-cases.ts';
import { openGatewayTarget } from './support/open-gateway-target.ts';

let target: Awaited<ReturnType<typeof openGatewayTarget>>;

beforeAll(async () => {
  target = await openGatewayTarget();
});

afterAll(async () => {
  await target?.[Symbol.asyncDispose]();
});

test('the gateway passes every conformance case, and each is tested', { timeout: 240_000 }, async () => {
  const results = await runCases(allCases, target);
  expect(results.filter(({ status }) => status !== 'passed').map(describeResult)).toEqual([]);
  expect(results).toHaveLength(allCases.length);
});

describe('./run conformance', () => {
  test('prints a result for each case and a summary, and needs no session', async () => {
    const { code, lines } = await runConformance(
      [target.url, '--origin', target.origin, '--only', 'Origin'],
      {},
    );
    expect(code).toBe(0);
    expect(lines.at(-1)).toBe('3 passed, 0 failed, 1 not tested');
    expect(lines).toContain(
      'not tested  a request without Origin is accepted only if the server allows it: needs a session (LIVE_SESSION)',
    );
    expect(lines).toContain('passed      the Origins null and * are answered 403');
  });

  test('exits with 1 when a case fails or none could be tested', async () => {
    const failed = await runConformance(
      [target.url, '--without-origin', '--origin', target.origin, '--only', 'Origin'],
      {
        LIVE_SESSION: target.session.cookie,
      },
    );
    expect(failed.lines.at(-1)).toBe('3 passed, 1 failed, 0 not tested');
    expect(failed.code).toBe(1);
    const untested = await runConformance([target.url, '--only', 'a request without Origin'], {});
    expect(untested.lines.at(-1)).toBe('0 passed, 0 failed, 1 not tested');
    expect(untested.code).toBe(1);
  });

  test('with a stream and a database, uses devices of its own and removes them', async () => {
    const { args, env } = target.command;
    const { code, lines } = await runConformance([...args, '--only', 'bbox'], env);
    const passed = lines.filter((line) => line.startsWith('passed      '));
    expect(passed.length).toBeGreaterThan(5);
    expect({ code, lines }).toEqual({
      code: 0,
      lines: [...passed, `${passed.length} passed, 0 failed, 0 not tested`],
    });
    // An event with devices is refused, so the first run has removed its own.
    const again = await runConformance([...args, '--only', 'plain: an event without positions'], env);
    expect(again.lines).toEqual([
      'passed      plain: an event without positions has an empty snapshot',
      '1 passed, 0 failed, 0 not tested',
    ]);
  });
});

async function runConformance(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly lines: readonly string[] }> {
  const main = new URL('../src/main.ts', import.meta.url);
  const { code, stdout } = await runProgram({ main, args, env });
  return { code, lines: stdout.trim().split('\n') };
}
