import { describe, expect, test } from 'vitest';
import { Lead, otherTopic, rowAt, topic } from './support/lead-machine.ts';

function heldIn(lead: Lead): Record<string, number> {
  return Object.fromEntries(
    [...(lead.machine.topics.get(topic)?.held.values() ?? [])].map(({ deviceId, ts }) => [deviceId, ts]),
  );
}

function live(...rows: readonly (readonly unknown[])[]): Lead {
  const lead = new Lead().goLive();
  lead.hear({ type: 'positions', topic, rows, cursor: 'c2' });
  return lead;
}

describe('what is held of an event', () => {
  test('is the newest position of each device, with what is unknown left out', () => {
    const lead = live(rowAt('a', 10), rowAt('b', 10));
    lead.hear({ type: 'positions', topic, rows: [['a', 8.5, 46.5, 11, 0, 0, null]] });
    expect(lead.actions).toEqual([
      {
        do: 'change',
        change: {
          topic,
          positions: [{ deviceId: 'a', lon: 8.5, lat: 46.5, ts: 11, speed: 0, course: 0 }],
          removed: [],
        },
      },
    ]);
    expect(heldIn(lead)).toEqual({ a: 11, b: 10 });
  });

  test('never steps back in time', () => {
    const lead = live(rowAt('a', 10));
    lead.hear({ type: 'positions', topic, rows: [rowAt('a', 9)] });
    expect(lead.actions).toEqual([]);
    expect(heldIn(lead)).toEqual({ a: 10 });
  });

  test('but for a device that was removed and added: its fix was faulty, and the one before it counts', () => {
    const lead = live(rowAt('a', 10), rowAt('b', 10));
    lead.hear({ type: 'devices', topic, added: ['a'], removed: ['a'] });
    expect(lead.actions).toEqual([{ do: 'change', change: { topic, positions: [], removed: ['a'] } }]);
    lead.hear({ type: 'positions', topic, rows: [rowAt('a', 5), rowAt('b', 5)] });
    expect(heldIn(lead)).toEqual({ a: 5, b: 10 });
  });

  test('loses what left the event and what left the bbox', () => {
    const lead = live(rowAt('a', 10), rowAt('b', 10), rowAt('c', 10));
    lead.hear({ type: 'devices', topic, added: [], removed: ['a', 'unknown'] });
    expect(lead.actions).toEqual([{ do: 'change', change: { topic, positions: [], removed: ['a'] } }]);
    lead.hear({ type: 'hidden', topic, devices: ['b'] });
    expect(heldIn(lead)).toEqual({ c: 10 });
  });

  test('is replaced by part 0 of a snapshot, be it older, and added to by the others', () => {
    const lead = live(rowAt('a', 10), rowAt('b', 10));
    lead.hear({ type: 'resync', topic });
    expect(heldIn(lead)).toEqual({ a: 10, b: 10 });
    lead.hear({ type: 'snapshot', topic, part: 0, rows: [rowAt('a', 7)] });
    expect(lead.actions).toEqual([
      { do: 'change', change: { topic, positions: [expect.objectContaining({ ts: 7 })], removed: ['b'] } },
    ]);
    lead.hear({ type: 'positions', topic, rows: [rowAt('c', 9)] });
    lead.hear({
      type: 'snapshot',
      topic,
      part: 1,
      rows: [rowAt('c', 8), rowAt('d', 7)],
      last: true,
      cursor: 'c3',
    });
    expect(heldIn(lead)).toEqual({ a: 7, c: 9, d: 7 });
  });

  test('stays on the map while the connection is away, and is replaced when it was not recovered', () => {
    const lead = live(rowAt('a', 10));
    lead.close(1006);
    expect(heldIn(lead)).toEqual({ a: 10 });
    lead.untilDue();
    lead.open();
    lead.hear({ type: 'subscribed', topic, id: 2, epoch: 'e2', recovered: false, devices: 1 });
    expect(heldIn(lead)).toEqual({ a: 10 });
    lead.hear({ type: 'snapshot', topic, part: 0, rows: [], last: true, cursor: 'c' });
    expect(heldIn(lead)).toEqual({});
  });

  test('does not mix with another event', () => {
    const lead = new Lead({ topics: [topic, otherTopic] }).goLive();
    lead.hear({ type: 'positions', topic: otherTopic, rows: [rowAt('a', 1)] });
    lead.hear({
      type: 'positions',
      topic: 'event:00000000-0000-0000-0000-000000000000',
      rows: [rowAt('b', 1)],
    });
    expect(heldIn(lead)).toEqual({});
  });

  test('is read in the order of columns that the server names', () => {
    const lead = new Lead();
    lead.tell({ is: 'started' });
    lead.open();
    lead.hear({ type: 'hello', columns: ['ts', 'accuracy', 'lat', 'lon', 'deviceId', 'speed'] });
    lead.hear({ type: 'subscribed', topic, id: 1, epoch: 'e', recovered: false, devices: 1 });
    lead.hear({ type: 'snapshot', topic, part: 0, rows: [[5, 1, 46, 8, 'a', 0]], last: true });
    expect([...(lead.machine.topics.get(topic)?.held.values() ?? [])]).toEqual([
      { deviceId: 'a', lat: 46, lon: 8, ts: 5, speed: 0 },
    ]);
  });
});

describe('what the server says', () => {
  test.each([
    '',
    'no json',
    'null',
    '7',
    '[]',
    '{}',
    '{"type":7}',
    '{"type":"snapshot"}',
    `{"type":"positions","topic":"${topic}"}`,
    `{"type":"positions","topic":"${topic}","rows":{"length":3}}`,
    `{"type":"positions","topic":"${topic}","rows":[7,null,[],["a"],["a","8",46,1],["a",8,46,1e999],[null,8,46,1]]}`,
    `{"type":"devices","topic":"${topic}","removed":"a"}`,
    `{"type":"hidden","topic":"${topic}","devices":[7]}`,
    '{"type":"reconnect","afterMs":-1}',
    '{"type":"reconnect"}',
    '{"type":"weather","topic":"x"}',
    '{"type":"hello"}',
    '{"type":"__proto__"}',
  ])('is passed over where it is %j', (text) => {
    const lead = live(rowAt('a', 10));
    expect(lead.tell({ is: 'heard', text })).toEqual([]);
    expect(heldIn(lead)).toEqual({ a: 10 });
    expect(lead.waitMs).toBe(35_000);
  });

  test('may have fields that are not known', () => {
    const lead = live(rowAt('a', 10));
    lead.hear({ type: 'positions', topic, rows: [[...rowAt('a', 11), 'later']], version: 7 });
    expect(heldIn(lead)).toEqual({ a: 11 });
  });
});
