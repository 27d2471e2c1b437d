import { runProgram } from '@app/test-kit/program';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allSentences } from '../src/all-sentences.ts';
import { describeVerdict, runSentences } from '../src/run-sentences.ts';
import { openGatewayTarget } from './support/open-gateway-target.ts';

let target: Awaited<ReturnType<typeof openGatewayTarget>>;

beforeAll(async () => {
  target = await openGatewayTarget();
});

afterAll(async () => {
  await target?.[Symbol.asyncDispose]();
});

test(
  'the gateway keeps every sentence of the protocol, and each is tested',
  { timeout: 240_000 },
  async () => {
    const verdicts = await runSentences(allSentences, target, () => undefined);
    expect(verdicts.filter(({ result }) => result !== 'passed').map(describeVerdict)).toEqual([]);
    expect(verdicts).toHaveLength(allSentences.length);
  },
);

describe('./run conformance', () => {
  test('says of each sentence whether it was tested, counts, and is satisfied with what a stranger can see', async () => {
    const { code, lines } = await runConformance(
      [target.url, '--origin', target.origin, '--only', 'Origin'],
      {},
    );
    expect(code).toBe(0);
    expect(lines.at(-1)).toBe('3 passed, 0 failed, 1 not tested');
    expect(lines).toContain(
      'not tested  a missing Origin is let in only where that is configured: needs a session (LIVE_SESSION)',
    );
    expect(lines).toContain('passed      the Origins null and * are refused');
  });

  test('ends with 1 when a sentence does not hold, and when nothing could be tested', async () => {
    const failed = await runConformance(
      [target.url, '--without-origin', '--origin', target.origin, '--only', 'Origin'],
      {
        LIVE_SESSION: target.session.cookie,
      },
    );
    expect(failed.lines.at(-1)).toBe('3 passed, 1 failed, 0 not tested');
    expect(failed.code).toBe(1);
    const untested = await runConformance([target.url, '--only', 'a missing Origin'], {});
    expect(untested.lines.at(-1)).toBe('0 passed, 0 failed, 1 not tested');
    expect(untested.code).toBe(1);
  });

  test('tests with a stream and a database too, on devices of its own, of which nothing stays', async () => {
    const { args, env } = target.command;
    const { code, lines } = await runConformance([...args, '--only', 'bbox'], env);
    const passed = lines.filter((line) => line.startsWith('passed      '));
    expect(passed.length).toBeGreaterThan(5);
    expect({ code, lines }).toEqual({
      code: 0,
      lines: [...passed, `${passed.length} passed, 0 failed, 0 not tested`],
    });
    // An event that has devices is refused: so none has stayed from the first time.
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
