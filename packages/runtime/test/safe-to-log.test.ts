import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { safeToLog, serializeError, withoutCredentials } from '../src/safe-to-log.ts';

const imei = '356307042441013';

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error;
  }
}

describe('serializeError', () => {
  test('keeps type, message, code, stack and the chain of causes', () => {
    const root = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' });
    const error = new TypeError('insert of 1000 rows failed', { cause: root });
    expect(serializeError(error)).toEqual({
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

  test('leaves out whatever a driver hung onto the error', () => {
    const error = Object.assign(new Error('failed'), {
      detail: 'Failing row contains (48.208174, 16.373819).',
      where: 'COPY positions, line 1: "48.208174"',
      query: 'insert into positions …',
      parameters: [48.208174],
      command: { name: 'xadd', args: ['telemetry:teltonika', '*', 'payload', '48.208174'] },
      input: 'redis://user:hunter2@redis',
    });
    expect(Object.keys(serializeError(error))).toEqual(['type', 'message', 'stack']);
  });

  test('keeps the errors inside an AggregateError and a SuppressedError', () => {
    const refused = [
      new Error('connect ECONNREFUSED ::1:6379'),
      new Error('connect ECONNREFUSED 127.0.0.1:6379'),
    ];
    expect(serializeError(new AggregateError(refused)).errors?.map(({ message }) => message)).toEqual(
      refused.map(({ message }) => message),
    );
    const suppressed = new SuppressedError(new Error('while closing'), new Error('while working'));
    expect(serializeError(suppressed).errors?.map(({ message }) => message)).toEqual([
      'while closing',
      'while working',
    ]);
  });

  test('ends at an error that is its own cause', () => {
    const error = new Error('round');
    error.cause = error;
    expect(JSON.stringify(serializeError(error)).match(/"round"/gu)?.length).toBeLessThan(10);
  });

  test('says of a thrown value that is no error only what kind it is', () => {
    expect(serializeError('48.208174')).toEqual({
      type: 'string',
      message: 'string was thrown instead of an Error',
    });
    expect(serializeError(null).message).toBe('null was thrown instead of an Error');
  });

  test.each([
    ['JSON.parse', parseJson('{"lat":48.208174,"lon":abc}'), '174'],
    [
      'a data exception of Postgres',
      Object.assign(new Error('invalid input syntax for type real: "4a8"'), { code: '22P02' }),
      '4a8',
    ],
    ['an argument error of Node', argumentError(), '4711'],
    ['a URL with a password', new Error('cannot reach redis://app:hunter2@redis:6379/0'), 'hunter2'],
    ['a coordinate in free text', new Error('no road at 48.2081,16.3738'), '48.2081'],
    ['a whole IMEI', new Error(`unknown device ${imei}`), imei],
  ])('hides what the message of %s would tell', (_what, error, leak) => {
    expect(error).toHaveProperty('message', expect.stringContaining(leak));
    const text = JSON.stringify(serializeError(error));
    expect(text).not.toContain(leak);
    expect(text).toMatch(/\[redacted\]|\[number\]|…1013/u);
  });

  test.each([
    'connect ECONNREFUSED 127.0.0.1:6379',
    'connect ETIMEDOUT 192.168.100.200:5432',
    'relation "positions" does not exist',
    "Cannot find package 'ioredis' imported from /app/main.ts",
    'entry 1732412345678-0 of telemetry:teltonika',
    'waited 15000 ms',
  ])('keeps a message that tells nothing: %s', (message) => {
    expect(serializeError(new Error(message)).message).toBe(message);
  });

  test('hides any coordinate and IMEI, wherever in the message and the causes they are', () => {
    const coordinate = fc
      .integer({ min: -180_000_000, max: 180_000_000 })
      .map((microDegrees) => (microDegrees / 1e6).toFixed(6));
    fc.assert(
      fc.property(
        coordinate,
        fc.constantFrom(' ', ',', '(', '"', '=', '\n'),
        fc.nat(3),
        (text, before, depth) => {
          let error = new Error(`the fix${before}${text}${before} of ${imei}`);
          for (let level = 0; level < depth; level += 1) {
            error = new Error(`level ${level}: ${text}`, { cause: error });
          }
          const line = JSON.stringify(serializeError(error));
          expect(line).not.toContain(text.replace('-', ''));
          expect(line).not.toContain(imei);
        },
      ),
    );
  });
});

describe('safeToLog', () => {
  test('replaces the values of secrets at any depth and keeps the rest', () => {
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

  test('reduces an error under any name and inside any structure', () => {
    const error = Object.assign(new Error('failed'), { parameters: ['48.208174'] });
    const outcomes = [{ status: 'rejected', reason: error }];
    expect(JSON.stringify(safeToLog({ outcomes, problem: error }))).not.toContain('48.208174');
  });

  test('counts bytes instead of printing them', () => {
    expect(safeToLog({ body: Buffer.from('48.208174') })).toEqual({ body: '[9 bytes]' });
  });

  test('ends at a value that contains itself', () => {
    const round: Record<string, unknown> = { name: 'round' };
    round['self'] = round;
    expect(JSON.stringify(safeToLog(round))).toContain('[too deep]');
  });

  test('uses toJSON, as a logger would', () => {
    const at = new Date(0);
    expect(safeToLog({ at, url: new URL('postgres://app:hunter2@db/tracking') })).toEqual({
      at: '1970-01-01T00:00:00.000Z',
      url: 'postgres://[redacted]@db/tracking',
    });
  });
});

// A pattern that backtracks quadratically would take hours over these, which the test's timeout ends.
test('a hostile string of megabytes is truncated', () => {
  const texts = ['a', '://', 'a://', '@', '1', '1.1', '"', 'a:'].map((part) => `${part.repeat(2_000_000)}@`);
  for (const text of texts) {
    expect(JSON.stringify(safeToLog({ text, error: new SyntaxError(`JSON ${text}`) })).length).toBeLessThan(
      100_000,
    );
    withoutCredentials(text.slice(0, 100_000));
  }
});

describe('withoutCredentials', () => {
  test.each([
    ['redis://:hunter2@redis:6379', 'redis://[redacted]@redis:6379'],
    ['postgres://app:p%40ss@db/tracking and more', 'postgres://[redacted]@db/tracking and more'],
    ['postgres://app:p@ss@db/tracking', 'postgres://[redacted]@db/tracking'],
    ['https://example.org/@home', 'https://example.org/@home'],
    ['mail to ops@example.org', 'mail to ops@example.org'],
  ])('%s', (text, expected) => {
    expect(withoutCredentials(text)).toBe(expected);
  });
});

function argumentError(): unknown {
  try {
    return Buffer.alloc(8).readInt8(4711);
  } catch (error) {
    return error;
  }
}
