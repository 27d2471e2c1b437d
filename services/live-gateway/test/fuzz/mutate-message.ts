import { maxMessageBytes } from '@app/shared/protocol';
import type { SeededRandom } from './seeded-random.ts';

/** Strings with a special meaning in JSON, URLs, C or Unicode. */
const specialStrings = [
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

const extremeValues = [
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
  'ticket',
  '__proto__',
  'constructor',
  'toString',
  '',
] as const;

/** A valid client message. */
export function validMessage(random: SeededRandom, topics: readonly [string, ...string[]]): string {
  const id = random.of([
    random.below(1000),
    `id-${random.below(1000)}`,
    -random.unit(),
    'x'.repeat(random.below(65)),
  ]);
  const topic = random.of(topics);
  const bbox = [
    random.unit() * 360 - 180,
    -random.unit() * 90,
    random.unit() * 360 - 180,
    random.unit() * 90,
  ];
  const message = random.of<object>([
    { type: 'ping', id },
    { type: 'subscribe', id, topic },
    { type: 'subscribe', id, topic, maxHz: 0.5 + random.unit() * 19 },
    { type: 'subscribe', id, topic, bbox },
    { type: 'subscribe', id, topic, cursor: 'AAAA', epoch: 'e' },
    { type: 'update', id, topic, maxHz: 4 },
    { type: 'update', id, topic, bbox },
    { type: 'update', id, topic, bbox: null },
    { type: 'unsubscribe', id, topic },
    { type: 'reauthenticate', id, ticket: 'A'.repeat(random.below(200)) },
  ]);
  return JSON.stringify(message);
}

/** Mutates a message in one to four places; the result is well-formed and within the message size limit. */
export function mutateMessage(random: SeededRandom, message: string): string {
  let mutated = message;
  for (let round = random.below(4); round >= 0; round -= 1) mutated = mutateOnce(random, mutated);
  // A text frame is well-formed UTF-8; `invalidFrames` has others.
  const wellFormed = mutated.toWellFormed();
  return Buffer.byteLength(wellFormed) <= maxMessageBytes
    ? wellFormed
    : wellFormed.slice(0, maxMessageBytes / 4);
}

function mutateOnce(random: SeededRandom, message: string): string {
  const at = random.below(message.length + 1);
  const to = Math.min(message.length, at + 1 + random.below(8));
  switch (random.below(9)) {
    case 0:
      return message.slice(0, at) + message.slice(to);
    case 1:
      return message.slice(0, at) + random.of(specialStrings) + message.slice(at);
    case 2:
      return message.slice(0, at) + random.of(specialStrings) + message.slice(to);
    case 3:
      return message.slice(0, at);
    case 4:
      return message.slice(0, to) + message.slice(at);
    case 5:
      return message.replace(/:(?:"[^"]*"|[^,{}[\]]+)/u, `:${random.of(extremeValues)}`);
    case 6:
      return message.replace('{', `{${JSON.stringify(random.of(keys))}:${random.of(extremeValues)},`);
    case 7:
      return message.replace(/"(\w+)":/u, `${JSON.stringify(random.of(keys))}:`);
    default:
      return random.of([
        '['.repeat(random.below(2000)),
        '{"a":'.repeat(random.below(400)),
        message.repeat(1 + random.below(20)),
      ]);
  }
}
