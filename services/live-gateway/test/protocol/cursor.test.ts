import { expect, test } from 'vitest';
import { decodeCursor, encodeCursor, hashView } from '../../src/protocol/cursor.ts';

test('a cursor round-trips', () => {
  const cursor = encodeCursor('150-0,250-0', hashView('devices', 'box'));
  expect(decodeCursor(cursor)).toEqual({ appliedIds: ['150-0', '250-0'], viewHash: 'devices.box' });
  expect(hashView('devices', '')).toBe('devices');
});

test.each([
  '',
  '/',
  'x/devices',
  '1-0,/devices',
  '1/devices',
  '01-0/devices',
  '1-0,2-0',
  '-1-0/d',
  `${'9'.repeat(30)}-0/d`,
])('%j is not a cursor', (cursor) => expect(decodeCursor(cursor)).toBeUndefined());
