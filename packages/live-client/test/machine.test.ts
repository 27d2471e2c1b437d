import { describe, expect, test } from 'vitest';
import { MachineDriver, otherTopic, rowAt, topic } from './support/machine-driver.ts';

describe('the first connection', () => {
  test('subscribes to each topic, and is live once all are subscribed', () => {
    const driver = new MachineDriver({
      topics: [topic, otherTopic],
      view: { maxHz: 2, bbox: [7, 45, 9, 47] },
    });
    expect(driver.dispatch({ type: 'start' })).toEqual([{ type: 'connect' }]);
    expect(driver.state).toBe('connecting');
    driver.open();
    expect(driver.sent).toEqual([
      { type: 'subscribe', id: 1, topic, maxHz: 2, bbox: [7, 45, 9, 47] },
      { type: 'subscribe', id: 2, topic: otherTopic, maxHz: 2, bbox: [7, 45, 9, 47] },
    ]);
    driver.receive({ type: 'subscribed', topic, id: 1, epoch: 'e', recovered: false, devices: 0 });
    expect(driver.state).toBe('connecting');
    driver.receive({
      type: 'subscribed',
      topic: otherTopic,
      id: 2,
      epoch: 'e',
      recovered: false,
      devices: 0,
    });
    expect(driver.actions).toEqual([{ type: 'state', state: 'live', ending: undefined }]);
  });

  test('ends the client if the server chose another protocol', () => {
    const driver = new MachineDriver();
    driver.dispatch({ type: 'start' });
    driver.dispatch({ type: 'open', protocol: '' });
    expect(driver.actions).toEqual([
      { type: 'disconnect' },
      { type: 'state', state: 'closed', ending: { reason: 'the server does not speak live.v1' } },
    ]);
    expect(driver.machine.timerAtMs).toBe(Infinity);
  });

  test('is retried if it does not open within 10 s', () => {
    const driver = new MachineDriver();
    driver.dispatch({ type: 'start' });
    expect(driver.timerInMs).toBe(10_000);
    expect(driver.runTimer()).toEqual([{ type: 'disconnect' }]);
    expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
  });
});

describe('a lost connection', () => {
  test.each([1001, 1005, 1006, 1011, 1012, 1013, 4000, 4001, 4002, 4003, 4042, 4099])(
    'closed with %i is retried',
    (code) => {
      const driver = new MachineDriver().goLive();
      driver.close(code);
      expect(driver.state).toBe('reconnecting');
      expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
    },
  );

  test.each([1000, 4400, 4403, 4450, 4499])('closed with %i ends the client, with its reason', (code) => {
    const driver = new MachineDriver().goLive();
    expect(driver.close(code, 'too many')).toEqual([
      { type: 'state', state: 'closed', ending: { code, reason: 'too many' } },
    ]);
    expect(driver.machine.timerAtMs).toBe(Infinity);
    expect(driver.dispatch({ type: 'wake' })).toEqual([]);
  });

  test('is retried after a random part of a limit that doubles from 1 s to 30 s', () => {
    const driver = new MachineDriver({ random: () => 0.999 });
    driver.dispatch({ type: 'start' });
    const waitsMs = Array.from({ length: 8 }, () => {
      driver.close(1006);
      const { timerInMs: waitMs } = driver;
      driver.runTimer();
      return Math.round(waitMs / 0.999);
    });
    expect(waitsMs).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    const immediate = new MachineDriver({ random: () => 0 });
    immediate.dispatch({ type: 'start' });
    immediate.close(1006);
    expect(immediate.timerInMs).toBe(0);
  });

  test('resets the retry delay only after a connection of at least 10 s', () => {
    const driver = new MachineDriver({ random: () => 0.999 });
    driver.dispatch({ type: 'start' });
    for (let round = 0; round < 4; round += 1) {
      driver.open();
      driver.close(1006);
      driver.runTimer();
    }
    driver.open();
    driver.nowMs += 9_999;
    driver.close(1006);
    expect(driver.timerInMs).toBeCloseTo(15_984);
    driver.runTimer();
    driver.open();
    driver.nowMs += 10_000;
    driver.close(1006);
    expect(driver.timerInMs).toBeCloseTo(999);
  });

  test('is not retried for 5 s after 4005, even after a wake-up', () => {
    const driver = new MachineDriver({ random: () => 0 }).goLive();
    driver.close(4005);
    expect(driver.timerInMs).toBe(5_000);
    driver.dispatch({ type: 'wake' });
    expect(driver.actions).toEqual([]);
    expect(driver.timerInMs).toBe(5_000);
  });

  test('requests half the rate after each 4002, down to 0.5 Hz', () => {
    const driver = new MachineDriver().goLive();
    const requestedHz = Array.from({ length: 4 }, () => {
      driver.close(4002);
      driver.runTimer();
      driver.open();
      return driver.sent[0]?.['maxHz'];
    });
    expect(requestedHz).toEqual([2, 1, 0.5, 0.5]);
  });

  test('resumes from the last cursor and its epoch', () => {
    const driver = new MachineDriver().goLive('c1', 'e1');
    driver.receive({ type: 'positions', topic, rows: [rowAt('a', 1)], cursor: 'c2' });
    driver.receive({ type: 'positions', topic, rows: [rowAt('a', 2)] });
    driver.close(1006);
    driver.runTimer();
    driver.open();
    expect(driver.sent).toEqual([{ type: 'subscribe', id: 2, topic, cursor: 'c2', epoch: 'e1' }]);
    driver.receive({ type: 'subscribed', topic, id: 2, epoch: 'e1', recovered: true, devices: 1 });
    expect(driver.state).toBe('live');
    expect(driver.machine.topics.get(topic)?.positions.get('a')?.ts).toBe(2);
    driver.receive({ type: 'heartbeat', time: 1, cursor: 'c3' });
    driver.close(1006);
    driver.runTimer();
    driver.open();
    expect(driver.sent[0]).toMatchObject({ cursor: 'c3', epoch: 'e1' });
  });

  test.each([
    ['in the middle of a snapshot', { type: 'snapshot', topic, part: 0, rows: [rowAt('a', 1)] }],
    ['after resync', { type: 'resync', topic }],
  ])('%s does not resume, because no cursor covers the positions', (_, message) => {
    const driver = new MachineDriver().goLive('c1', 'e1');
    driver.receive(message);
    driver.receive({ type: 'positions', topic, rows: [], cursor: 'c2' });
    driver.receive({ type: 'heartbeat', time: 1, cursor: 'c3' });
    driver.close(1006);
    driver.runTimer();
    driver.open();
    expect(driver.sent).toEqual([{ type: 'subscribe', id: 2, topic }]);
  });

  test('does not resume from a cursor of a previous box, even if the box is the same again', () => {
    const box = [0, 40, 10, 50] as const;
    const driver = new MachineDriver({ view: { bbox: box } }).goLive();
    driver.receive({ type: 'positions', topic, rows: [rowAt('a', 1)], cursor: 'first box' });
    driver.after(1_000, { type: 'update', view: { bbox: [20, 40, 30, 50] } });
    const [update] = driver.sent;
    // Sent before the server received the update.
    driver.receive({ type: 'positions', topic, rows: [], cursor: 'still first box' });
    driver.receive({ type: 'updated', topic, id: update?.['id'] });
    driver.receive({ type: 'hidden', topic, devices: ['a'] });
    driver.close(1006);
    driver.dispatch({ type: 'update', view: { bbox: box } });
    driver.runTimer();
    driver.open();
    expect(driver.sent).toEqual([expect.not.objectContaining({ cursor: expect.anything() })]);
  });

  test('resumes from the first cursor of the current box', () => {
    const driver = new MachineDriver({ view: { bbox: [0, 40, 10, 50] } }).goLive();
    driver.after(1_000, { type: 'update', view: { bbox: [20, 40, 30, 50] } });
    driver.receive({ type: 'updated', topic, id: driver.sent[0]?.['id'] });
    driver.receive({ type: 'positions', topic, rows: [], cursor: 'c2' });
    driver.close(1006);
    driver.runTimer();
    driver.open();
    expect(driver.sent).toEqual([expect.objectContaining({ cursor: 'c2', bbox: [20, 40, 30, 50] })]);
  });

  test('uses the cursor of a heartbeat only with a single topic', () => {
    const driver = new MachineDriver({ topics: [topic, otherTopic] }).goLive('c1', 'e1');
    driver.receive({ type: 'heartbeat', time: 1, cursor: 'c2' });
    driver.close(1006);
    driver.runTimer();
    driver.open();
    expect(driver.sent.map(({ cursor }) => cursor)).toEqual(['c1', 'c1']);
  });
});

describe('a reconnect message', () => {
  test('delays the next attempt until its time, even after a wake-up', () => {
    const driver = new MachineDriver({ random: () => 0 }).goLive();
    driver.receive({ type: 'reconnect', afterMs: 8_000 });
    expect(driver.state).toBe('live');
    driver.nowMs += 2_000;
    driver.close(1012);
    expect(driver.timerInMs).toBe(6_000);
    expect(driver.after(1_000, { type: 'wake' })).toEqual([]);
    expect(driver.timerInMs).toBe(5_000);
    expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
  });

  test('makes the client disconnect at its time if the server has not closed', () => {
    const driver = new MachineDriver({ random: () => 0 }).goLive();
    driver.receive({ type: 'reconnect', afterMs: 8_000 });
    expect(driver.timerInMs).toBe(8_000);
    expect(driver.runTimer()).toEqual([
      { type: 'disconnect' },
      { type: 'state', state: 'reconnecting', ending: undefined },
    ]);
    expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
  });
});

describe('silence', () => {
  test('of 35 s makes the client stale and send a ping; any message makes it live', () => {
    const driver = new MachineDriver().goLive();
    expect(driver.timerInMs).toBe(35_000);
    driver.runTimer();
    expect(driver.state).toBe('stale');
    expect(driver.sent).toEqual([{ type: 'ping', id: 2 }]);
    driver.after(9_999, { type: 'message', data: 'any frame' });
    expect(driver.actions).toEqual([{ type: 'state', state: 'live', ending: undefined }]);
    expect(driver.timerInMs).toBe(35_000);
  });

  test('after the ping for 10 s ends the connection', () => {
    const driver = new MachineDriver().goLive();
    driver.runTimer();
    expect(driver.timerInMs).toBe(10_000);
    expect(driver.runTimer()).toEqual([
      { type: 'disconnect' },
      { type: 'state', state: 'reconnecting', ending: undefined },
    ]);
    expect(driver.machine.timerAtMs).toBeLessThan(Infinity);
  });

  test('after a wake-up sends a ping with a timeout of 5 s', () => {
    const driver = new MachineDriver().goLive();
    driver.dispatch({ type: 'wake' });
    expect(driver.sent).toEqual([{ type: 'ping', id: 2 }]);
    expect(driver.dispatch({ type: 'wake' })).toEqual([]);
    expect(driver.state).toBe('live');
    expect(driver.timerInMs).toBe(5_000);
    driver.runTimer();
    expect(driver.actionTypes).toContain('disconnect');
  });
});

describe('a wake-up', () => {
  test('ends a retry delay, with at least 1 s between attempts', () => {
    const driver = new MachineDriver({ random: () => 0.999 });
    driver.dispatch({ type: 'start' });
    for (let round = 0; round < 5; round += 1) {
      driver.close(1006);
      driver.runTimer();
    }
    driver.nowMs += 400;
    driver.close(1006);
    driver.dispatch({ type: 'wake' });
    expect(driver.actions).toEqual([]);
    expect(driver.timerInMs).toBe(600);
    driver.runTimer();
    driver.nowMs += 3_000;
    driver.close(1006);
    expect(driver.dispatch({ type: 'wake' })).toEqual([{ type: 'connect' }]);
  });
});

describe('an error', () => {
  test('that is temporary is followed by another subscribe after its retryAfterMs', () => {
    const driver = new MachineDriver({ random: () => 0 });
    driver.dispatch({ type: 'start' });
    driver.open();
    driver.receive({
      type: 'error',
      id: 1,
      code: 'unavailable',
      message: 'later',
      temporary: true,
      retryAfterMs: 4_000,
    });
    expect(driver.actions).toEqual([
      { type: 'problem', problem: { code: 'unavailable', message: 'later', topic, isTemporary: true } },
    ]);
    expect(driver.state).toBe('connecting');
    expect(driver.timerInMs).toBe(4_000);
    driver.runTimer();
    expect(driver.sent).toEqual([{ type: 'subscribe', id: 2, topic }]);
  });

  test('that is temporary also delays the subscribe on the next connection', () => {
    const driver = new MachineDriver({ random: () => 0 });
    driver.dispatch({ type: 'start' });
    driver.open();
    driver.receive({ type: 'error', id: 1, code: 'unavailable', temporary: true, retryAfterMs: 4_000 });
    driver.close(1006);
    driver.runTimer();
    driver.open();
    expect(driver.sent).toEqual([]);
    driver.after(4_000);
    expect(driver.sent).toEqual([{ type: 'subscribe', id: 2, topic }]);
  });

  test('without retryAfterMs is retried with growing delays', () => {
    const driver = new MachineDriver({ random: () => 0.999 });
    driver.dispatch({ type: 'start' });
    driver.open();
    const waitsMs = Array.from({ length: 4 }, (_, at) => {
      driver.receive({ type: 'error', id: at + 1, code: 'internal', message: '', temporary: true });
      const { timerInMs: waitMs } = driver;
      driver.runTimer();
      return Math.round(waitMs / 0.999);
    });
    expect(waitsMs).toEqual([1_000, 2_000, 4_000, 8_000]);
  });

  test('that ends one topic leaves the others unchanged', () => {
    const driver = new MachineDriver({ topics: [topic, otherTopic] });
    driver.dispatch({ type: 'start' });
    driver.open();
    driver.receive({ type: 'error', id: 1, code: 'forbidden', message: 'no', temporary: false });
    driver.receive({
      type: 'subscribed',
      topic: otherTopic,
      id: 2,
      epoch: 'e',
      recovered: false,
      devices: 0,
    });
    expect(driver.state).toBe('live');
    driver.close(1006);
    driver.runTimer();
    driver.open();
    expect(driver.sent.map((message) => message['topic'])).toEqual([otherTopic]);
  });

  test.each([
    ['forbidden', 'unauthorised'],
    ['unknown-topic', 'closed'],
  ])('%s on the last topic ends the client as %s', (code, state) => {
    const driver = new MachineDriver();
    driver.dispatch({ type: 'start' });
    driver.open();
    driver.receive({ type: 'error', id: 1, code, message: 'no', temporary: false });
    expect(driver.actionTypes).toEqual(['problem', 'disconnect', 'state']);
    expect(driver.state).toBe(state);
  });

  test('that is not a reply is reported and changes nothing', () => {
    const driver = new MachineDriver().goLive();
    driver.receive({ type: 'error', code: 'bad-message', message: 'what?', temporary: false });
    expect(driver.actionTypes).toEqual(['problem']);
    expect(driver.state).toBe('live');
  });
});

describe('a revoked permission', () => {
  test('removes the devices and ends the client', () => {
    const driver = new MachineDriver().goLive();
    driver.receive({ type: 'positions', topic, rows: [rowAt('a', 1)], cursor: 'c2' });
    driver.receive({ type: 'unsubscribed', topic, reason: 'forbidden' });
    expect(driver.actions).toContainEqual({
      type: 'change',
      change: { topic, positions: [], removed: ['a'] },
    });
    expect(driver.state).toBe('unauthorised');
  });
});

describe('an update of the view', () => {
  test('is sent immediately, and then at most every 500 ms with the newest view', () => {
    const driver = new MachineDriver({ view: { maxHz: 4 } }).goLive();
    driver.dispatch({ type: 'update', view: { bbox: [0, 0, 1, 1] } });
    expect(driver.sent).toEqual([{ type: 'update', id: 2, topic, maxHz: 4, bbox: [0, 0, 1, 1] }]);
    driver.dispatch({ type: 'update', view: { bbox: [0, 0, 2, 2] } });
    driver.dispatch({ type: 'update', view: { bbox: null, maxHz: 1 } });
    expect(driver.actions).toEqual([]);
    expect(driver.timerInMs).toBe(500);
    driver.runTimer();
    expect(driver.sent).toEqual([{ type: 'update', id: 3, topic, maxHz: 1, bbox: null }]);
    expect(driver.timerInMs).toBeGreaterThan(500);
  });

  test('before the reply to subscribe is sent after it', () => {
    const driver = new MachineDriver();
    driver.dispatch({ type: 'start' });
    driver.open();
    driver.dispatch({ type: 'update', view: { maxHz: 1 } });
    expect(driver.sent).toEqual([]);
    driver.receive({ type: 'subscribed', topic, id: 1, epoch: 'e', recovered: false, devices: 0 });
    expect(driver.sent).toEqual([{ type: 'update', id: 2, topic, maxHz: 1, bbox: null }]);
  });

  test('while disconnected is part of the next subscribe', () => {
    const driver = new MachineDriver().goLive();
    driver.close(1006);
    expect(driver.dispatch({ type: 'update', view: { bbox: [1, 1, 2, 2] } })).toEqual([]);
    driver.runTimer();
    driver.open();
    expect(driver.sent[0]).toMatchObject({ type: 'subscribe', bbox: [1, 1, 2, 2] });
    driver.receive({ type: 'subscribed', topic, id: 2, epoch: 'e1', recovered: false, devices: 0 });
    expect(driver.sent).toEqual([]);
  });

  test('that the server rejects temporarily is sent again', () => {
    const driver = new MachineDriver().goLive();
    driver.dispatch({ type: 'update', view: { maxHz: 1 } });
    driver.receive({
      type: 'error',
      id: 2,
      code: 'rate-limited',
      message: '',
      temporary: true,
      retryAfterMs: 900,
    });
    expect(driver.timerInMs).toBe(900);
    driver.runTimer();
    expect(driver.sent).toEqual([{ type: 'update', id: 3, topic, maxHz: 1, bbox: null }]);
  });
});

describe('close', () => {
  test('closes the socket, and nothing happens after it', () => {
    const driver = new MachineDriver().goLive();
    driver.dispatch({ type: 'stop' });
    expect(driver.actionTypes).toEqual(['disconnect', 'state']);
    expect(driver.state).toBe('closed');
    expect(driver.close(1006)).toEqual([]);
    expect(driver.after(1e6)).toEqual([]);
    expect(driver.machine.timerAtMs).toBe(Infinity);
  });
});
