import { describe, expect, test } from 'vitest';
import { safeToLog, withoutCredentials } from '../src/safe-to-log.ts';

function parseError(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    return error;
  }
}

describe('an error', () => {
  test('keeps type, message, code, stack and the chain of causes', () => {
    const root = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' });
    const error = new TypeError('insert of 1000 rows failed', { cause: root });
    expect(safeToLog(error)).toEqual({
      type: 'TypeError',
      message: 'insert of 1000 rows failed',
      stack: expect.stringMatching(/^TypeError: insert of 1000 rows failed\n {4}at .*safe-to-log\.test\.ts/u),
      cause: {
        type: 'Error',
        message: 'connect ECONNREFUSED 127.0.0.1:6379',
        code: 'ECONNREFUSED',
        stack: expect.stringContaining('Error: connect ECONNREFUSED 127.0.0.1:6379\n    at '),
      },
    });
  });

  test('loses all other fields that a driver added', () => {
    const error = Object.assign(new Error('failed'), {
      detail: 'Failing row contains (48.208174, 16.373819).',
      where: 'COPY positions, line 1: "48.208174"',
      query: 'insert into positions …',
      parameters: [48.208174],
      command: { name: 'xadd', args: ['telemetry:teltonika', '*', 'payload', '48.208174'] },
      input: 'redis://user:hunter2@redis',
    });
    expect(safeToLog(error)).toEqual({ type: 'Error', message: 'failed', stack: expect.any(String) });
  });

  test('keeps the errors in an AggregateError and a SuppressedError', () => {
    const refused = [
      new Error('connect ECONNREFUSED ::1:6379'),
      new Error('connect ECONNREFUSED 127.0.0.1:6379'),
    ];
    expect(safeToLog(new AggregateError(refused))).toMatchObject({
      errors: refused.map(({ message }) => ({ message })),
    });
    const suppressed = new SuppressedError(new Error('while closing'), new Error('while working'));
    expect(safeToLog(suppressed)).toMatchObject({
      errors: [{ message: 'while closing' }, { message: 'while working' }],
    });
  });

  test('that is its own cause is logged to a limited depth', () => {
    const error = new Error('round');
    error.cause = error;
    expect(JSON.stringify(safeToLog(error)).match(/"round"/gu)?.length).toBeLessThan(10);
  });

  test('keeps only the type of a cause that is not an Error', () => {
    expect(safeToLog(new Error('failed', { cause: '48.208174' }))).toMatchObject({
      cause: { type: 'string', message: 'string was thrown instead of an Error' },
    });
    expect(safeToLog(new Error('failed', { cause: null }))).toMatchObject({
      cause: { message: 'null was thrown instead of an Error' },
    });
  });

  test.each([
    ['JSON.parse', parseError('{"lat":48.208174,"lon":abc}'), '174'],
    [
      'a data exception of Postgres',
      Object.assign(new Error('invalid input syntax for type real: "4a8"'), { code: '22P02' }),
      '4a8',
    ],
    ['an argument error of Node', argumentError(), '4711'],
    ['a URL with a password', new Error('cannot reach redis://app:hunter2@redis:6379/0'), 'hunter2'],
    ['an error that quotes a coordinate', new Error('no road at 48.2081,16.3738'), '48.2081'],
    [
      'an error that quotes an IMEI',
      new Error('ERR unknown command, with args: \'{"device_id":"356307042441013"'),
      '356307042441013',
    ],
  ])('loses the value in the message of %s', (_what, error, value) => {
    expect(error).toHaveProperty('message', expect.stringContaining(value));
    const logged = JSON.stringify(safeToLog(error));
    expect(logged).not.toContain(value);
    expect(logged).toMatch(/\[redacted\]|\[number\]|…1013/u);
  });

  test.each([
    'connect ECONNREFUSED 127.0.0.1:6379',
    'connect ETIMEDOUT 192.168.100.200:5432',
    'relation "positions" does not exist',
    "Cannot find package 'ioredis' imported from /app/main.ts",
    'entry 1732412345678-0 of telemetry:teltonika',
    'waited 15000 ms',
  ])('keeps any other message: %s', (message) => {
    expect(safeToLog(new Error(message))).toMatchObject({ message });
  });
});

describe('safeToLog', () => {
  test('redacts secrets at any depth and keeps other values', () => {
    expect(
      safeToLog({
        headers: {
          Cookie: 'session=abc',
          authorization: 'Bearer abc',
          'set-cookie': ['a=b'],
          host: 'example.org',
        },
        options: [{ password: 'hunter2', pass: 'hunter2', apiKey: 'k', user: 'app' }],
        sessionToken: 'abc',
        tokens: 3,
      }),
    ).toEqual({
      headers: {
        Cookie: '[redacted]',
        authorization: '[redacted]',
        'set-cookie': '[redacted]',
        host: 'example.org',
      },
      options: [{ password: '[redacted]', pass: '[redacted]', apiKey: '[redacted]', user: 'app' }],
      sessionToken: '[redacted]',
      tokens: 3,
    });
  });

  test('reduces an error under any name and in any structure', () => {
    const error = Object.assign(new Error('failed'), { parameters: ['48.208174'] });
    const outcomes = [{ status: 'rejected', reason: error }];
    expect(JSON.stringify(safeToLog({ outcomes, problem: error }))).not.toContain('48.208174');
  });

  test('replaces bytes by their number', () => {
    expect(safeToLog({ body: Buffer.from('48.208174') })).toEqual({ body: '[9 bytes]' });
  });

  test('a circular value is logged to a limited depth', () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    expect(JSON.stringify(safeToLog(circular))).toContain('[too deep]');
  });

  test('calls toJSON', () => {
    const at = new Date(0);
    expect(safeToLog({ at, url: new URL('postgres://app:hunter2@db/tracking') })).toEqual({
      at: '1970-01-01T00:00:00.000Z',
      url: 'postgres://[redacted]@db/tracking',
    });
  });
});

// With a pattern that backtracks quadratically this would time out.
test('a hostile string of megabytes is truncated', () => {
  const strings = ['a', '://', 'a://', '@', '1', '1.1', '"', 'a:'].map(
    (part) => `${part.repeat(2_000_000)}@`,
  );
  for (const value of strings) {
    expect(JSON.stringify(safeToLog({ value, error: new SyntaxError(`JSON ${value}`) })).length).toBeLessThan(
      100_000,
    );
    withoutCredentials(value.slice(0, 100_000));
  }
});

describe('withoutCredentials', () => {
  test.each([
    ['redis://:hunter2@redis:6379', 'redis://[redacted]@redis:6379'],
    ['postgres://app:p%40ss@db/tracking and more', 'postgres://[redacted]@db/tracking and more'],
    ['postgres://app:p@ss@db/tracking', 'postgres://[redacted]@db/tracking'],
    ['https://example.org/@home', 'https://example.org/@home'],
    ['mail to ops@example.org', 'mail to ops@example.org'],
  ])('%s', (value, expected) => {
    expect(withoutCredentials(value)).toBe(expected);
  });
});

function argumentError(): unknown {
  try {
    return Buffer.alloc(8).readInt8(4711);
  } catch (error) {
    return error;
  }
}
