import { CodecError } from '@app/shared/codec';
import { decodeFields } from '@app/shared/entry';
import { expect, test } from 'vitest';
import { Load, SendingOrder } from '../src/load.ts';

const count = 20_000;
const items = Array.from({ length: count }, (_, n) => new Load(7).item(n));

function kindsOf(seed: number): string {
  return Array.from({ length: 1000 }, (_, n) => new Load(seed).item(n).kind).join();
}

test('the same seed gives the same records, another seed others', () => {
  const again = new Load(7);
  for (const n of [0, 1, 17, 4711, count - 1]) expect(again.item(n)).toEqual(items[n]);
  expect(kindsOf(7)).not.toBe(kindsOf(8));
});

test('every kind occurs, and good records have unique keys', () => {
  const kinds = Map.groupBy(items, ({ kind }) => kind);
  for (const kind of ['garbage', 'refused', 'future', 'conflict'] as const) {
    expect(kinds.get(kind)?.length).toBeGreaterThan(20);
    expect(kinds.get(kind)?.length).toBeLessThan(300);
  }
  const keys = (kinds.get('good') ?? []).map(
    ({ record }) => `${record?.position.deviceId} ${record?.position.fixAtMs}`,
  );
  expect(new Set(keys).size).toBe(keys.length);
});

test('a conflict has the key of the good record before it, and either may be dead-lettered', () => {
  const load = new Load(7);
  for (const { n, kind, record, fields, reason } of items) {
    expect(load.hasConflict(n)).toBe(
      items[n + 1]?.kind === 'conflict' || (n === count - 1 && load.hasConflict(n)),
    );
    if (kind !== 'conflict') continue;
    const before = items[n - 1];
    expect(before).toMatchObject({ kind: 'good', reason: 'same_time' });
    expect(record?.position.fixAtMs).toBe(before?.record?.position.fixAtMs);
    expect(record?.position.deviceId).toBe(before?.record?.position.deviceId);
    expect([reason, fields]).not.toEqual(['same_time', before?.fields]);
  }
});

test('garbage is rejected for the expected reason, and nothing else is', () => {
  for (const { kind, fields, reason } of items) {
    const received = decodeFields(fields.map((field) => Buffer.from(field)));
    expect(received instanceof CodecError ? received.reason : 'good').toBe(
      kind === 'garbage' ? reason : 'good',
    );
  }
});

test('every number is sent, some late and some twice, and few are held back', () => {
  const order = new SendingOrder(new Load(7));
  const sent = Array.from({ length: count }, () => order.next());
  const rest = order.rest();
  expect(rest.length).toBeLessThan(100);
  const all = [...sent, ...rest];
  expect(new Set(all).size).toBe(order.started);
  expect(Math.max(...all)).toBe(order.started - 1);
  expect(all.length - order.started).toBeGreaterThan(200);
  expect(sent.filter((n, at) => n < (sent[at - 1] ?? 0)).length).toBeGreaterThan(200);
  expect(order.rest()).toEqual([]);
});
