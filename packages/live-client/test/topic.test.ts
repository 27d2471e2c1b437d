import { describe, expect, test } from 'vitest';
import { MachineDriver, otherTopic, rowAt, topic } from './support/machine-driver.ts';

function positionsIn(driver: MachineDriver): Record<string, number> {
  return Object.fromEntries(
    [...(driver.machine.topics.get(topic)?.positions.values() ?? [])].map(({ deviceId, ts }) => [
      deviceId,
      ts,
    ]),
  );
}

function live(...rows: readonly (readonly unknown[])[]): MachineDriver {
  const driver = new MachineDriver().goLive();
  driver.receive({ type: 'positions', topic, rows, cursor: 'c2' });
  return driver;
}

describe('the positions of an event', () => {
  test('are the newest of each device, without unknown values', () => {
    const driver = live(rowAt('a', 10), rowAt('b', 10));
    driver.receive({ type: 'positions', topic, rows: [['a', 8.5, 46.5, 11, 0, 0, null]] });
    expect(driver.actions).toEqual([
      {
        type: 'change',
        change: {
          topic,
          positions: [{ deviceId: 'a', lon: 8.5, lat: 46.5, ts: 11, speed: 0, course: 0 }],
          removed: [],
        },
      },
    ]);
    expect(positionsIn(driver)).toEqual({ a: 11, b: 10 });
  });

  test('never go back in time', () => {
    const driver = live(rowAt('a', 10));
    driver.receive({ type: 'positions', topic, rows: [rowAt('a', 9)] });
    expect(driver.actions).toEqual([]);
    expect(positionsIn(driver)).toEqual({ a: 10 });
  });

  test('go back in time for a device that was removed and added: its newest fix was faulty', () => {
    const driver = live(rowAt('a', 10), rowAt('b', 10));
    driver.receive({ type: 'devices', topic, added: ['a'], removed: ['a'] });
    expect(driver.actions).toEqual([{ type: 'change', change: { topic, positions: [], removed: ['a'] } }]);
    driver.receive({ type: 'positions', topic, rows: [rowAt('a', 5), rowAt('b', 5)] });
    expect(positionsIn(driver)).toEqual({ a: 5, b: 10 });
  });

  test('do not include devices that left the event or the bbox', () => {
    const driver = live(rowAt('a', 10), rowAt('b', 10), rowAt('c', 10));
    driver.receive({ type: 'devices', topic, added: [], removed: ['a', 'unknown'] });
    expect(driver.actions).toEqual([{ type: 'change', change: { topic, positions: [], removed: ['a'] } }]);
    driver.receive({ type: 'hidden', topic, devices: ['b'] });
    expect(positionsIn(driver)).toEqual({ c: 10 });
  });

  test('are replaced by part 0 of a snapshot, even if older, and extended by the other parts', () => {
    const driver = live(rowAt('a', 10), rowAt('b', 10));
    driver.receive({ type: 'resync', topic });
    expect(positionsIn(driver)).toEqual({ a: 10, b: 10 });
    driver.receive({ type: 'snapshot', topic, part: 0, rows: [rowAt('a', 7)] });
    expect(driver.actions).toEqual([
      { type: 'change', change: { topic, positions: [expect.objectContaining({ ts: 7 })], removed: ['b'] } },
    ]);
    driver.receive({ type: 'positions', topic, rows: [rowAt('c', 9)] });
    driver.receive({
      type: 'snapshot',
      topic,
      part: 1,
      rows: [rowAt('c', 8), rowAt('d', 7)],
      last: true,
      cursor: 'c3',
    });
    expect(positionsIn(driver)).toEqual({ a: 7, c: 9, d: 7 });
  });

  test('are kept while disconnected, and replaced if the subscription is not recovered', () => {
    const driver = live(rowAt('a', 10));
    driver.close(1006);
    expect(positionsIn(driver)).toEqual({ a: 10 });
    driver.runTimer();
    driver.open();
    driver.receive({ type: 'subscribed', topic, id: 2, epoch: 'e2', recovered: false, devices: 1 });
    expect(positionsIn(driver)).toEqual({ a: 10 });
    driver.receive({ type: 'snapshot', topic, part: 0, rows: [], last: true, cursor: 'c' });
    expect(positionsIn(driver)).toEqual({});
  });

  test('are separate for each event', () => {
    const driver = new MachineDriver({ topics: [topic, otherTopic] }).goLive();
    driver.receive({ type: 'positions', topic: otherTopic, rows: [rowAt('a', 1)] });
    driver.receive({
      type: 'positions',
      topic: 'event:00000000-0000-0000-0000-000000000000',
      rows: [rowAt('b', 1)],
    });
    expect(positionsIn(driver)).toEqual({});
  });

  test('are decoded in the column order of the server', () => {
    const driver = new MachineDriver();
    driver.dispatch({ type: 'start' });
    driver.open();
    driver.receive({ type: 'hello', columns: ['ts', 'accuracy', 'lat', 'lon', 'deviceId', 'speed'] });
    driver.receive({ type: 'subscribed', topic, id: 1, epoch: 'e', recovered: false, devices: 1 });
    driver.receive({ type: 'snapshot', topic, part: 0, rows: [[5, 1, 46, 8, 'a', 0]], last: true });
    expect([...(driver.machine.topics.get(topic)?.positions.values() ?? [])]).toEqual([
      { deviceId: 'a', lat: 46, lon: 8, ts: 5, speed: 0 },
    ]);
  });
});

describe('a server message', () => {
  test.each([
    '',
    'not json',
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
  ])('is ignored if it is %j', (data) => {
    const driver = live(rowAt('a', 10));
    expect(driver.dispatch({ type: 'message', data })).toEqual([]);
    expect(positionsIn(driver)).toEqual({ a: 10 });
    expect(driver.timerInMs).toBe(35_000);
  });

  test('may have unknown fields', () => {
    const driver = live(rowAt('a', 10));
    driver.receive({ type: 'positions', topic, rows: [[...rowAt('a', 11), 'later']], version: 7 });
    expect(positionsIn(driver)).toEqual({ a: 11 });
  });
});
