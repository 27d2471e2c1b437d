import { batchedServerMessage, plainServerMessage } from '@app/shared/messages';
import { closeCode, errorCodes } from '@app/shared/protocol';
import { expect, test } from 'vitest';
import { allSentences } from '../src/all-sentences.ts';

/** What no test can bring a server to say: an error of its own, and what this one never has a reason for. */
const unprovoked = new Set(['error internal', 'error draining', 'close 1001']);

test('every message, error and close code of the protocol has a sentence', () => {
  const types = [...plainServerMessage.options, ...batchedServerMessage.options].map(
    (option) => option.unwrap().shape.type.value,
  );
  const all = [
    ...types.map((type) => `message ${type}`),
    ...errorCodes.map((code) => `error ${code}`),
    ...Object.values(closeCode).map((code) => `close ${code}`),
  ];
  const covered = new Set([...allSentences.flatMap(({ covers }) => covers), 'message error']);
  expect(all.filter((each) => !covered.has(each) && !unprovoked.has(each))).toEqual([]);
  expect([...covered].filter((each) => !all.includes(each))).toEqual([]);
});

test('no two sentences say the same', () => {
  const all = allSentences.map(({ says }) => says);
  expect(new Set(all).size).toBe(all.length);
});
