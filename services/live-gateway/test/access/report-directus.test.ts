import { createLog } from '@app/runtime/log';
import { expect, test } from 'vitest';
import { createDirectusReport } from '../../src/access/report-directus.ts';

test('each cause is logged once an outage, which ends when nothing has failed for 10 s', () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  const log = createLog({ service: 'live-gateway', instanceId: 'a', level: 'info', destination });
  let nowMs = 0;
  const report = createDirectusReport(log, () => nowMs);
  const logged = (): readonly unknown[] =>
    lines.splice(0).map((line): unknown => {
      const fields: unknown = JSON.parse(line);
      return Reflect.get(Object(fields), 'reason') ?? Reflect.get(Object(fields), 'msg');
    });
  const refused = { reason: 'unreachable', cause: 'ECONNREFUSED' };
  const timeout = { reason: 'timeout' };

  report(undefined);
  for (const failure of [refused, refused, timeout, refused, timeout]) report(failure);
  expect(logged()).toEqual(['unreachable', 'timeout']);
  // Some requests are answered in between: still the same outage.
  for (const failure of [undefined, refused, undefined]) report(failure);
  nowMs += 9_999;
  report(undefined);
  expect(logged()).toEqual([]);
  nowMs += 1;
  report(undefined);
  report(undefined);
  expect(logged()).toEqual(['Directus answers again']);

  // The next outage, of which the end is noticed by the request that begins another one.
  for (const failure of [refused, undefined]) report(failure);
  nowMs += 60_000;
  report(refused);
  expect(logged()).toEqual(['unreachable', 'Directus answers again', 'unreachable']);
});
