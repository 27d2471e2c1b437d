import { expect, test } from 'vitest';
import { captureLog } from './capture-log.ts';
import { shortDeviceId } from '../src/log.ts';
import type { Logger } from '../src/log.ts';

function written(write: (log: Logger) => void): unknown {
  const { log, lines } = captureLog();
  write(log);
  expect(lines).toHaveLength(1);
  return JSON.parse(lines.join(''));
}

test('a line is one JSON object with level, ISO time, service, instance, fields and message', () => {
  const line = written((log) => log.info({ inserted: 3 }, 'batch written'));
  expect(line).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u),
    service: 'processor',
    instance: 'processor-1',
    inserted: 3,
    msg: 'batch written',
  });
});

test('lines below the level are not written', () => {
  const { log, lines } = captureLog('warn');
  log.info('below');
  log.warn('at the level');
  expect(lines).toHaveLength(1);
});

test.each([
  ['alone', (log: Logger, error: Error) => log.error(error)],
  ['with a message', (log: Logger, error: Error) => log.error(error, 'insert failed')],
  ['as `error`', (log: Logger, error: Error) => log.error({ error }, 'insert failed')],
  ['as `error` without a message', (log: Logger, error: Error) => log.error({ error })],
  ['as `err`', (log: Logger, error: Error) => log.error({ err: error }, 'insert failed')],
  ['under a name of its own', (log: Logger, error: Error) => log.error({ reason: error }, 'insert failed')],
  ['as an argument of the message', (log: Logger, error: Error) => log.error('insert failed: %o', error)],
  ['in a child', (log: Logger, error: Error) => log.child({ error }).error('insert failed')],
])('an error logged %s has only type, message, code, stack and causes', (_how, log) => {
  const error = Object.assign(new Error('check violation'), {
    code: '23514',
    detail: 'Failing row contains (48.208174).',
    command: { args: ['48.208174'] },
  });
  const line = JSON.stringify(written((logger) => log(logger, error)));
  expect(line).not.toContain('48.208174');
  expect(line).toContain('23514');
});

test('cookies, authorization and passwords are redacted, also in a child', () => {
  const secrets = { cookie: 'session=abc', authorization: 'Bearer abc', password: 'abc' };
  for (const line of [
    written((log) => log.info(secrets, 'here')),
    written((log) => log.info({ request: { headers: secrets } }, 'here')),
    written((log) => log.child(secrets).info('here')),
  ]) {
    expect(JSON.stringify(line)).not.toContain('abc');
    expect(JSON.stringify(line)).toContain('[redacted]');
  }
});

test('credentials in a URL are redacted in fields and message', () => {
  const line = written((log) =>
    log.info({ url: 'redis://app:hunter2@redis' }, 'at redis://app:hunter2@redis'),
  );
  expect(line).toMatchObject({ url: 'redis://[redacted]@redis', msg: 'at redis://[redacted]@redis' });
});

test('a device id is shortened to its last four digits', () => {
  expect(shortDeviceId('356307042441013')).toBe('1013');
});
