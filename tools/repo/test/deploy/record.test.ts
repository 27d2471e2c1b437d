import { CodecError, decodePosition, maxPayloadBytes } from '@app/shared/codec';
import { decodeFields } from '@app/shared/entry';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readRepositoryFile } from '../../src/deploy/repository.ts';

const page = readRepositoryFile('docs/record.md');
const [, command = ''] = /^redis-cli [^]*? XADD ([^]*?)^```/mu.exec(page) ?? [];
/** The arguments as a shell passes them: words, or strings in single quotes. */
const words = [...command.matchAll(/'([^']*)'|([^\s\\]+)/gu)].map(([, quoted, word]) => quoted ?? word ?? '');
const fields = words.slice(words.indexOf('*') + 1);
const payload = z
  .record(z.string(), z.json())
  .parse(JSON.parse(fields[fields.indexOf('payload') + 1] ?? 'null'));
const rows = [...page.matchAll(/^\| `(\w+)` \| (\w+) \| (-?\d+)\.\.(\d+) \|/gmu)].map(
  ([, name = '', type = '', from, to]) => ({ name, type, from: Number(from), to: Number(to) }),
);

function decode(changes: Readonly<Record<string, unknown>>): ReturnType<typeof decodePosition> {
  return decodePosition(JSON.stringify({ ...payload, ...changes }));
}

function attributesOf(count: number): Readonly<Record<string, number>> {
  return Object.fromEntries(Array.from({ length: count }, (_, key) => [key, 1]));
}

describe('the page of the stream record', () => {
  test('has an example that the services decode, trimmed and with a generated id', () => {
    expect(words.slice(1, 5)).toEqual(['MAXLEN', '~', expect.stringMatching(/^\d+$/u), '*']);
    const decoded = decodeFields(fields.map((field) => Buffer.from(field)));
    expect(decoded).not.toBeInstanceOf(CodecError);
    expect(decoded).toMatchObject({
      codec: fields[fields.indexOf('codec') + 1],
      position: {
        deviceId: fields[fields.indexOf('device_id') + 1],
        fixAtMs: Date.parse(fields[fields.indexOf('ts') + 1] ?? ''),
        attributesJson: JSON.stringify(payload['attributes']),
      },
    });
  });

  test.for(Object.keys(payload))('lists %s, which is required', (field) => {
    expect(page).toMatch(new RegExp(`^\\| \`${field}\` \\| `, 'mu'));
    expect(decode({ [field]: undefined })).toMatchObject({
      reason: 'missing_field',
      detail: expect.stringContaining(field),
    });
  });

  test('gives bounds of seven numbers', () => {
    expect(rows.map(({ name }) => name)).toHaveLength(7);
  });

  test.for(rows)('gives the bounds of $name', ({ name, type, from, to }) => {
    for (const value of [from, to]) expect(decode({ [name]: value })).not.toBeInstanceOf(CodecError);
    for (const value of [from - 1, to + 1]) expect(decode({ [name]: value })).toBeInstanceOf(CodecError);
    expect(decode({ [name]: 0.5 }) instanceof CodecError).toBe(type === 'integer');
  });

  test('gives the limits of the payload and its attributes', () => {
    expect(page).toContain(`at most ${maxPayloadBytes.toLocaleString('en')} bytes`);
    const [, keys = ''] = /at most (\d+) keys/u.exec(page) ?? [];
    expect(decode({ attributes: attributesOf(Number(keys)) })).not.toBeInstanceOf(CodecError);
    expect(decode({ attributes: attributesOf(Number(keys) + 1) })).toBeInstanceOf(CodecError);
  });
});
