import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { eventTopic, isUuid, parseTopic, resultsTopic } from '../src/topics.ts';

test('a topic is parsed into its kind and event id', () => {
  fc.assert(
    fc.property(fc.uuid(), (eventId) => {
      expect(isUuid(eventId)).toBe(true);
      expect(parseTopic(eventTopic(eventId))).toEqual({ kind: 'event', eventId });
      expect(parseTopic(resultsTopic(eventId))).toEqual({ kind: 'results', eventId });
    }),
  );
});

const id = '0190c5de-7a5b-7000-8000-0123456789ab';

test.each([
  '',
  'event',
  'event:',
  'event:.',
  'event:..',
  'event:%2e',
  'event:../../users/me',
  'event:..%2f..%2fusers%2fme',
  `event:${id}/../..`,
  `event:${id}\n`,
  `event: ${id}`,
  ` event:${id}`,
  `event:${id}?fields=*`,
  `event:${id.slice(1)}`,
  `event:${id}0`,
  `event:{${id}}`,
  `event:${id.replaceAll('-', '')}`,
  `event:${id.toUpperCase()}`,
  `Event:${id}`,
  `device:${id}`,
  `results:${id}/..`,
  `results:event:${id}`,
  id,
])('%j is not a topic', (value) => {
  expect(parseTopic(value)).toBeUndefined();
});

test('no other string is a topic', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string().map(eventTopic)), (value) => {
      expect(parseTopic(value)).toBeUndefined();
    }),
  );
});
