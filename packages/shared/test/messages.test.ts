import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  batchedServerMessage,
  clientMessage,
  columns,
  plainServerMessage,
  subprotocol,
  type ClientMessage,
  type Row,
  type ServerMessage,
} from '../src/messages.ts';
import { errorCodes } from '../src/protocol.ts';

const topic = 'event:0190c5de-7a5b-7000-8000-0123456789ab';
const results = 'results:0190c5de-7a5b-7000-8000-0123456789ab';
const device = '0190c5de-0000-7000-8000-000000000001';
const row: Row = [device, 11.7654321, 48.1234567, 1_795_492_274_216, 87.5, 271, null];
const position = {
  deviceId: '359421000012345',
  lat: 48.1,
  lon: 11.7,
  ts: 1_795_492_274_216,
  speed: 0,
  course: 0,
};

const inBothDialects: readonly ServerMessage[] = [
  { type: 'unsubscribed', topic },
  { type: 'unsubscribed', topic, id: 4 },
  { type: 'unsubscribed', topic, reason: 'forbidden' },
  { type: 'unsubscribed', topic: results, id: 4 },
  { type: 'updated', topic, id: 4 },
  { type: 'resync', topic },
  { type: 'reconnect', afterMs: 1200 },
  { type: 'heartbeat', time: 1_795_492_274_216 },
  { type: 'heartbeat', time: 1_795_492_274_216, cursor: 'c' },
  { type: 'results', topic: results, id: 1, reset: true, revision: 0, cursor: 'c' },
  {
    type: 'results',
    topic: results,
    set: { passings: [{ key: 'k', passed_at: 1_795_492_274_216, is_decided: false, before_at: null }] },
    removed: { passings: ['l'] },
  },
  { type: 'pong' },
  { type: 'pong', id: 'p' },
  { type: 'error', code: 'bad-message', message: 'a message must be JSON', temporary: false },
  { type: 'error', id: 1, code: 'rate-limited', message: 'slow down', temporary: true, retryAfterMs: 1000 },
];

const plainOnly: readonly ServerMessage[] = [
  { type: 'subscribed', topic, id: 1, snapshot: [position, { ...position, altitude: 512 }] },
  { type: 'subscribed', topic, snapshot: [], degraded: true },
  { type: 'position', topic, ...position },
  { type: 'position', topic, deviceId: '1', lat: 0, lon: 0, ts: 0 },
];

const batchedOnly: readonly ServerMessage[] = [
  {
    type: 'hello',
    protocol: subprotocol,
    connection: 'c-17',
    time: 1_795_492_274_216,
    tickMs: 125,
    columns: [...columns],
    limits: { messageBytes: 4096, messagesPerS: 10, subscriptions: 16 },
  },
  { type: 'subscribed', topic, id: 1, epoch: 'e', recovered: false, devices: 50 },
  { type: 'subscribed', topic, epoch: 'e', recovered: false, devices: 0, degraded: true },
  { type: 'snapshot', topic, part: 0, rows: [row] },
  { type: 'snapshot', topic, part: 1, rows: [], last: true, cursor: 'c' },
  { type: 'positions', topic, rows: [row, row] },
  { type: 'positions', topic, rows: [row], cursor: 'c' },
  { type: 'devices', topic, added: [device], removed: [] },
  { type: 'hidden', topic, devices: [device] },
];

describe('every server message is valid in its dialect', () => {
  test.each([...inBothDialects, ...plainOnly])('plain: %j', (message) => {
    expect(plainServerMessage.parse(message)).toStrictEqual(message);
  });

  test.each([...inBothDialects, ...batchedOnly])('batched: %j', (message) => {
    expect(batchedServerMessage.parse(message)).toStrictEqual(message);
  });

  test('and invalid in the other', () => {
    for (const message of plainOnly) expect(batchedServerMessage.safeParse(message).success).toBe(false);
    for (const message of batchedOnly) expect(plainServerMessage.safeParse(message).success).toBe(false);
  });
});

test('unknown fields are dropped, also in positions of a snapshot', () => {
  const message = { type: 'subscribed', topic, snapshot: [{ ...position, hdop: 1 }], later: true };
  expect(plainServerMessage.parse(message)).toStrictEqual({
    type: 'subscribed',
    topic,
    snapshot: [position],
  });
});

test.each(errorCodes)('%s is an error code', (code) => {
  const message = { type: 'error', code, message: 'm', temporary: false };
  expect(plainServerMessage.parse(message)).toStrictEqual(message);
  expect(batchedServerMessage.parse(message)).toStrictEqual(message);
});

test.each([
  ['an error with an unknown code', { type: 'error', code: 'oops', message: 'm', temporary: false }],
  ['an error without `temporary`', { type: 'error', code: 'internal', message: 'm' }],
  ['a latitude above 90', { type: 'position', topic, ...position, lat: 90.1 }],
  ['a position without a time', { type: 'position', topic, ...position, ts: undefined }],
  ['a time as an ISO string', { type: 'position', topic, ...position, ts: '2026-11-24T03:51:14.216Z' }],
  ['a row with its columns swapped', { type: 'positions', topic, rows: [[device, 48.1, 111.7, 1, 2, 3, 4]] }],
  ['a row with too few values', { type: 'positions', topic, rows: [[device, 11.7, 48.1, 1]] }],
  ['an invalid topic', { type: 'resync', topic: 'event:1' }],
  ['results of positions', { type: 'results', topic }],
  ['positions of results', { type: 'positions', topic: results, rows: [] }],
  ['a position of results', { type: 'position', topic: results, ...position }],
  ['a row of results that is a list', { type: 'results', topic: results, set: { passings: [[1]] } }],
  ['a client message', { type: 'subscribe', topic }],
])('%s is rejected', (_, message) => {
  expect(plainServerMessage.safeParse(message).success).toBe(false);
  expect(batchedServerMessage.safeParse(message).success).toBe(false);
});

test('a row has a value for each column', () => {
  expect(row).toHaveLength(columns.length);
  expectTypeOf<Row['length']>().toEqualTypeOf<(typeof columns)['length']>();
});

test('the inferred types are discriminated by `type`', () => {
  expectTypeOf<ClientMessage['type']>().toEqualTypeOf<
    'subscribe' | 'update' | 'unsubscribe' | 'ping' | 'reauthenticate'
  >();
  expect(clientMessage.options.map((option) => option.safeParse({ type: 'ping' }).success)).toEqual([
    false,
    false,
    false,
    true,
    false,
  ]);
});
