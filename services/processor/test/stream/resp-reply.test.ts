import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Wire, wire } from '../support/wire.ts';
import {
  encodeCommand,
  RedisReplyError,
  ReplyAssembler,
  ReplyCursor,
  type ReplyValue,
} from '../../src/stream/resp-reply.ts';

// Bytes of the protocol itself, so that a text looks like a reply now and then.
const byte = fc.oneof(fc.constantFrom(...Buffer.from('\r\n*$:-+0123')), fc.integer({ min: 0, max: 255 }));
const text = fc.array(byte, { maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const { reply } = fc.letrec<{ reply: Wire }>((tie) => ({
  reply: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.integer(),
    text,
    fc.constantFrom(new Error('ERR a problem'), new Error('NOGROUP')),
    fc.array(tie('reply'), { maxLength: 6 }),
  ),
}));

function valueOf(sent: Wire): ReplyValue {
  if (sent instanceof Error) return new RedisReplyError(sent.message);
  if (typeof sent === 'string') return Buffer.from(sent);
  return isList(sent) ? sent.map(valueOf) : sent;
}

function isList(sent: Wire): sent is readonly Wire[] {
  return Array.isArray(sent);
}

test('replies are assembled and parsed however the socket fragments them', () => {
  fc.assert(
    fc.property(
      fc.array(reply, { maxLength: 8 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 60 })),
      (sent, sizes) => {
        const bytes = Buffer.concat(sent.map(wire));
        const assembler = new ReplyAssembler();
        const replies: Buffer[] = [];
        for (let at = 0; at < bytes.length;) {
          const size = sizes.next().value ?? 1;
          // A copy, for a socket may use its bytes again.
          const chunk = Buffer.from(bytes.subarray(at, at + size));
          replies.push(...assembler.push(chunk));
          at += size;
        }
        expect(replies.map((each) => new ReplyCursor(each).value())).toEqual(sent.map(valueOf));
        expect(Buffer.concat(replies)).toEqual(bytes);
      },
    ),
  );
});

test('a returned reply is not changed by later chunks', () => {
  const assembler = new ReplyAssembler();
  const large = wire('x'.repeat(100_000));
  const [first] = [...assembler.push(large.subarray(0, 70_000)), ...assembler.push(large.subarray(70_000))];
  const copy = Buffer.from(first ?? []);
  for (let n = 0; n < 5; n += 1) {
    assembler.push(wire('y'.repeat(90_000)).subarray(0, 60_000));
    assembler.push(wire('y'.repeat(90_000)).subarray(60_000));
  }
  expect(first?.equals(copy)).toBe(true);
  expect(copy.equals(large)).toBe(true);
});

test('null and simple strings are values', () => {
  expect(new ReplyCursor(Buffer.from('$-1\r\n')).value()).toBeNull();
  expect(new ReplyCursor(Buffer.from('+OK\r\n')).value()).toEqual(Buffer.from('OK'));
});

test('invalid RESP is rejected', () => {
  expect(() => new ReplyAssembler().push(Buffer.from('*x\r\n'))).toThrow('a number');
  expect(() => new ReplyCursor(Buffer.from('?1\r\n')).value()).toThrow('something else');
  expect(() => new ReplyCursor(Buffer.from('?1\r\n')).list()).toThrow('something else');
  expect(() => new ReplyCursor(Buffer.from('$-1\r\n')).text()).toThrow('null');
});

test('a command is encoded as its arguments with their lengths in bytes', () => {
  expect(encodeCommand('XADD', ['ü', 12])).toBe('*3\r\n$4\r\nXADD\r\n$2\r\nü\r\n$2\r\n12\r\n');
});
