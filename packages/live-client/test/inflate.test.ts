import { deflateRawSync } from 'node:zlib';
import { deflatedFrame } from '@app/shared/protocol';
import { eventually } from '@app/test-kit/eventually';
import { expect, test } from 'vitest';
import { createFrameReader } from '../src/inflate.ts';

const { dictionaryKind, messageKind } = deflatedFrame;

function frame(kind: number, number: number, text: string, dictionary?: string): ArrayBuffer {
  const options = dictionary === undefined ? {} : { dictionary: Buffer.from(dictionary) };
  const data = deflateRawSync(text, options);
  const bytes = new Uint8Array(deflatedFrame.dataAt + data.length);
  bytes[0] = kind;
  new DataView(bytes.buffer).setUint32(deflatedFrame.numberAt, number);
  bytes.set(data, deflatedFrame.dataAt);
  return bytes.buffer;
}

function open() {
  const messages: string[] = [];
  const problems: unknown[] = [];
  const read = createFrameReader(
    (message) => messages.push(message),
    (...problem: unknown[]) => problems.push(problem),
  );
  return { messages, problems, read };
}

test('text is read at once', () => {
  const { messages, read } = open();
  read('a');
  expect(messages).toEqual(['a']);
});

test('deflated frames are read with their dictionary, and text after them stays after them', async () => {
  const { messages, problems, read } = open();
  const [first, second] = ['["0190c5de-7a5b-7000-8000-000000000001",'.repeat(600), 'x'];
  read(frame(dictionaryKind, 1, first));
  read(frame(dictionaryKind, 2 ** 32 - 1, second));
  read('a');
  read(frame(messageKind, 1, `${first}b`, first));
  read(frame(messageKind, 2 ** 32 - 1, 'xc', second));
  read('d');
  read(frame(dictionaryKind, 1, second));
  read(frame(messageKind, 1, 'xe', second));
  await eventually(() => (messages.length === 5 ? true : undefined));
  expect(messages).toEqual(['a', `${first}b`, 'xc', 'd', 'xe']);
  expect(problems).toEqual([]);
  read('f');
  expect(messages.at(-1)).toBe('f');
});

test('of many dictionaries the one not used for longest is forgotten', async () => {
  const { messages, problems, read } = open();
  for (let number = 1; number <= 1024; number += 1) read(frame(dictionaryKind, number, 'x'.repeat(99)));
  read(frame(messageKind, 1, `${'x'.repeat(99)}a`, 'x'.repeat(99)));
  read(frame(dictionaryKind, 1025, 'y'));
  read(frame(messageKind, 1, `${'x'.repeat(99)}b`, 'x'.repeat(99)));
  await eventually(() => (messages.length === 2 ? true : undefined));
  expect(problems).toEqual([]);
  read(frame(messageKind, 2, `${'x'.repeat(99)}c`, 'x'.repeat(99)));
  await eventually(() => (problems.length === 1 ? true : undefined));
});

test.each<[string, unknown]>([
  ['a dictionary that was not sent', frame(messageKind, 1, 'a'.repeat(99), 'a'.repeat(99))],
  ['data that is not deflated', new Uint8Array([dictionaryKind, 0, 0, 0, 1, 0xff, 0xff]).buffer],
  ['a frame without a head', new ArrayBuffer(2)],
])('%s is reported', async (_what, data) => {
  const { messages, problems, read } = open();
  read(data);
  await eventually(() => (problems.length === 1 ? true : undefined));
  expect(messages).toEqual([]);
});
