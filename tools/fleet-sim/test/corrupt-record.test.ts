import { CodecError } from '@app/shared/codec';
import { decodeFields, encodeFields } from '@app/shared/entry';
import { expect, test } from 'vitest';
import { corruptionKinds, corrupt } from '../src/corrupt-record.ts';
import { realisticRecords } from '../src/realistic-records.ts';

const [record] = realisticRecords({ seed: 1, startAtMs: Date.UTC(2026, 6, 4) });
if (record === undefined) throw new Error('no record was made');

const decode = (fields: readonly (string | Buffer)[]) =>
  decodeFields(fields.map((field) => (typeof field === 'string' ? Buffer.from(field) : field)));

test('there are fourteen kinds of corruption, with eleven reasons', () => {
  const corrupted = Array.from({ length: corruptionKinds }, (_, index) => corrupt(record, index));
  expect(new Set(corrupted.map(({ kind }) => kind)).size).toBe(14);
  expect(new Set(corrupted.map(({ reason }) => reason)).size).toBe(11);
});

test.for(Array.from({ length: corruptionKinds }, (_, index) => corrupt(record, index)))(
  'the decoder refuses $kind as $reason',
  ({ fields, reason }) => {
    expect(decode(encodeFields(record))).not.toBeInstanceOf(CodecError);
    const decoded = decode(fields);
    expect(decoded).toBeInstanceOf(CodecError);
    expect(decoded).toMatchObject({ reason });
  },
);
