import { batchedServerMessage, plainServerMessage } from '@app/shared/messages';
import { closeCode, errorCodes } from '@app/shared/protocol';
import { expect, test } from 'vitest';
import { allCases } from '../src/all-cases.ts';

/** The reserved error codes, which no gateway sends, and 1011, which only a bug in the server causes. */
const notTestable = new Set(['error internal', 'error draining', 'close 1011']);

test('every message, error and close code of the protocol has a conformance case', () => {
  const types = [...plainServerMessage.options, ...batchedServerMessage.options].map(
    (option) => option.unwrap().shape.type.value,
  );
  const all = [
    ...types.map((type) => `message ${type}`),
    ...errorCodes.map((code) => `error ${code}`),
    ...Object.values(closeCode).map((code) => `close ${code}`),
  ];
  const covered = new Set([...allCases.flatMap(({ covers }) => covers), 'message error']);
  expect(all.filter((each) => !covered.has(each) && !notTestable.has(each))).toEqual([]);
  expect([...covered].filter((each) => !all.includes(each))).toEqual([]);
});

test('case titles are unique', () => {
  const titles = allCases.map(({ title }) => title);
  expect(new Set(titles).size).toBe(titles.length);
});
