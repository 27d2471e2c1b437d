import { maxMessageBytes } from '@app/shared/protocol';
import type { Draw } from './draw.ts';

/** Characters that have meant trouble somewhere: of JSON, of URLs, of C, of Unicode. */
const troublesome = [
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '\0',
  '\n',
  '\u001b',
  '\u2028',
  '\ufeff',
  '€',
  '🛰',
  '-',
  '.',
  '0',
  '9',
  'e',
  '/',
  '%2e',
  '../',
  '?',
  '#',
  '\\u0000',
  '\\ud800',
  '\\"',
  '<',
  "'",
  ' ',
] as const;

const extremes = [
  '1e400',
  '-1e400',
  '1e-400',
  '-0',
  '0',
  '9007199254740993',
  '1'.repeat(400),
  'null',
  'true',
  '""',
  '[]',
  '{}',
  '"__proto__"',
  '"constructor"',
  '[[[[[[[[[[]]]]]]]]]]',
  '{"__proto__":{"type":"ping"}}',
  '"\\ud83d"',
  'NaN',
  '0x10',
] as const;

const keys = [
  'type',
  'id',
  'topic',
  'maxHz',
  'bbox',
  'cursor',
  'epoch',
  '__proto__',
  'constructor',
  'toString',
  '',
] as const;

/** A message as clients send it, before anything is changed. */
export function validMessage(draw: Draw, topics: readonly [string, ...string[]]): string {
  const id = draw.of([draw.below(1000), `id-${draw.below(1000)}`, -draw.unit(), 'x'.repeat(draw.below(65))]);
  const topic = draw.of(topics);
  const bbox = [draw.unit() * 360 - 180, -draw.unit() * 90, draw.unit() * 360 - 180, draw.unit() * 90];
  const message = draw.of<object>([
    { type: 'ping', id },
    { type: 'subscribe', id, topic },
    { type: 'subscribe', id, topic, maxHz: 0.5 + draw.unit() * 19 },
    { type: 'subscribe', id, topic, bbox },
    { type: 'subscribe', id, topic, cursor: 'AAAA', epoch: 'e' },
    { type: 'update', id, topic, maxHz: 4 },
    { type: 'update', id, topic, bbox },
    { type: 'update', id, topic, bbox: null },
    { type: 'unsubscribe', id, topic },
  ]);
  return JSON.stringify(message);
}

/** Changes a text in one to four places; it stays a text that fits into one message. */
export function mutateMessage(draw: Draw, text: string): string {
  let mutated = text;
  for (let round = draw.below(4); round >= 0; round -= 1) mutated = mutateOnce(draw, mutated);
  // Well-formed, as all that a socket sends as text; what is not is for the broken frames.
  const sent = mutated.toWellFormed();
  return Buffer.byteLength(sent) <= maxMessageBytes ? sent : sent.slice(0, maxMessageBytes / 4);
}

function mutateOnce(draw: Draw, text: string): string {
  const at = draw.below(text.length + 1);
  const to = Math.min(text.length, at + 1 + draw.below(8));
  switch (draw.below(9)) {
    case 0:
      return text.slice(0, at) + text.slice(to);
    case 1:
      return text.slice(0, at) + draw.of(troublesome) + text.slice(at);
    case 2:
      return text.slice(0, at) + draw.of(troublesome) + text.slice(to);
    case 3:
      return text.slice(0, at);
    case 4:
      return text.slice(0, to) + text.slice(at);
    case 5:
      return text.replace(/:(?:"[^"]*"|[^,{}[\]]+)/u, `:${draw.of(extremes)}`);
    case 6:
      return text.replace('{', `{${JSON.stringify(draw.of(keys))}:${draw.of(extremes)},`);
    case 7:
      return text.replace(/"(\w+)":/u, `${JSON.stringify(draw.of(keys))}:`);
    default:
      return draw.of([
        '['.repeat(draw.below(2000)),
        '{"a":'.repeat(draw.below(400)),
        text.repeat(1 + draw.below(20)),
      ]);
  }
}
