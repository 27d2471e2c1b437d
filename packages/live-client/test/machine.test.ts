import { describe, expect, test } from 'vitest';
import { Lead, otherTopic, rowAt, topic } from './support/lead-machine.ts';

describe('the first connection', () => {
  test('subscribes each topic as soon as it is open, and is live when the last has been answered', () => {
    const lead = new Lead({
      topics: [topic, otherTopic],
      view: { maxHz: 2, bbox: [7, 45, 9, 47] },
    });
    expect(lead.tell({ is: 'started' })).toEqual([{ do: 'open' }]);
    expect(lead.state).toBe('connecting');
    lead.open();
    expect(lead.sent).toEqual([
      { type: 'subscribe', id: 1, topic, maxHz: 2, bbox: [7, 45, 9, 47] },
      { type: 'subscribe', id: 2, topic: otherTopic, maxHz: 2, bbox: [7, 45, 9, 47] },
    ]);
    lead.hear({ type: 'subscribed', topic, id: 1, epoch: 'e', recovered: false, devices: 0 });
    expect(lead.state).toBe('connecting');
    lead.hear({ type: 'subscribed', topic: otherTopic, id: 2, epoch: 'e', recovered: false, devices: 0 });
    expect(lead.actions).toEqual([{ do: 'state', state: 'live', ending: undefined }]);
  });

  test('with a server that chose another protocol is given up: no attempt would end otherwise', () => {
    const lead = new Lead();
    lead.tell({ is: 'started' });
    lead.tell({ is: 'opened', protocol: '' });
    expect(lead.actions).toEqual([
      { do: 'drop' },
      { do: 'state', state: 'closed', ending: { reason: 'the server does not speak live.v1' } },
    ]);
    expect(lead.machine.dueAtMs).toBe(Infinity);
  });

  test('that does not open within 10 s is dropped and tried again', () => {
    const lead = new Lead();
    lead.tell({ is: 'started' });
    expect(lead.waitMs).toBe(10_000);
    expect(lead.untilDue()).toEqual([{ do: 'drop' }]);
    expect(lead.untilDue()).toEqual([{ do: 'open' }]);
  });
});

describe('a lost connection', () => {
  test.each([1001, 1005, 1006, 1011, 1012, 1013, 4000, 4001, 4002, 4003, 4042, 4099])(
    'that was closed with %i is tried again',
    (code) => {
      const lead = new Lead().goLive();
      lead.close(code);
      expect(lead.state).toBe('reconnecting');
      expect(lead.untilDue()).toEqual([{ do: 'open' }]);
    },
  );

  test.each([1000, 4400, 4403, 4450, 4499])('that was closed with %i is the end, with its reason', (code) => {
    const lead = new Lead().goLive();
    expect(lead.close(code, 'too many')).toEqual([
      { do: 'state', state: 'closed', ending: { code, reason: 'too many' } },
    ]);
    expect(lead.machine.dueAtMs).toBe(Infinity);
    expect(lead.tell({ is: 'woken' })).toEqual([]);
  });

  test('waits anywhere between 0 and a limit that doubles from 1 s to 30 s', () => {
    const lead = new Lead({ random: () => 0.999 });
    lead.tell({ is: 'started' });
    const waitsMs = Array.from({ length: 8 }, () => {
      lead.close(1006);
      const { waitMs } = lead;
      lead.untilDue();
      return Math.round(waitMs / 0.999);
    });
    expect(waitsMs).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    const lucky = new Lead({ random: () => 0 });
    lucky.tell({ is: 'started' });
    lucky.close(1006);
    expect(lucky.waitMs).toBe(0);
  });

  test('begins with short waits again after a connection of 10 s, not after one that closed at once', () => {
    const lead = new Lead({ random: () => 0.999 });
    lead.tell({ is: 'started' });
    for (let round = 0; round < 4; round += 1) {
      lead.open();
      lead.close(1006);
      lead.untilDue();
    }
    lead.open();
    lead.nowMs += 9_999;
    lead.close(1006);
    expect(lead.waitMs).toBeCloseTo(15_984);
    lead.untilDue();
    lead.open();
    lead.nowMs += 10_000;
    lead.close(1006);
    expect(lead.waitMs).toBeCloseTo(999);
  });

  test('after 4005 stays away for 5 s, even if woken', () => {
    const lead = new Lead({ random: () => 0 }).goLive();
    lead.close(4005);
    expect(lead.waitMs).toBe(5_000);
    lead.tell({ is: 'woken' });
    expect(lead.actions).toEqual([]);
    expect(lead.waitMs).toBe(5_000);
  });

  test('after 4002 asks for half the rate, again and again down to 0.5 Hz', () => {
    const lead = new Lead().goLive();
    const askedHz = Array.from({ length: 4 }, () => {
      lead.close(4002);
      lead.untilDue();
      lead.open();
      return lead.sent[0]?.['maxHz'];
    });
    expect(askedHz).toEqual([2, 1, 0.5, 0.5]);
  });

  test('is resumed from the last cursor and its epoch', () => {
    const lead = new Lead().goLive('c1', 'e1');
    lead.hear({ type: 'positions', topic, rows: [rowAt('a', 1)], cursor: 'c2' });
    lead.hear({ type: 'positions', topic, rows: [rowAt('a', 2)] });
    lead.close(1006);
    lead.untilDue();
    lead.open();
    expect(lead.sent).toEqual([{ type: 'subscribe', id: 2, topic, cursor: 'c2', epoch: 'e1' }]);
    lead.hear({ type: 'subscribed', topic, id: 2, epoch: 'e1', recovered: true, devices: 1 });
    expect(lead.state).toBe('live');
    expect(lead.machine.topics.get(topic)?.held.get('a')?.ts).toBe(2);
    lead.hear({ type: 'heartbeat', time: 1, cursor: 'c3' });
    lead.close(1006);
    lead.untilDue();
    lead.open();
    expect(lead.sent[0]).toMatchObject({ cursor: 'c3', epoch: 'e1' });
  });

  test.each([
    ['in the middle of a snapshot', { type: 'snapshot', topic, part: 0, rows: [rowAt('a', 1)] }],
    ['after resync', { type: 'resync', topic }],
  ])('%s is not resumed: no cursor covers what is held', (_, message) => {
    const lead = new Lead().goLive('c1', 'e1');
    lead.hear(message);
    lead.hear({ type: 'positions', topic, rows: [], cursor: 'c2' });
    lead.hear({ type: 'heartbeat', time: 1, cursor: 'c3' });
    lead.close(1006);
    lead.untilDue();
    lead.open();
    expect(lead.sent).toEqual([{ type: 'subscribe', id: 2, topic }]);
  });

  test('is not resumed from a cursor of another box, though the box is the old one again: what was hidden is not there', () => {
    const box = [0, 40, 10, 50] as const;
    const lead = new Lead({ view: { bbox: box } }).goLive();
    lead.hear({ type: 'positions', topic, rows: [rowAt('a', 1)], cursor: 'of the box' });
    lead.after(1_000, { is: 'viewed', view: { bbox: [20, 40, 30, 50] } });
    const [update] = lead.sent;
    // Sent before the server had heard of the other box.
    lead.hear({ type: 'positions', topic, rows: [], cursor: 'of the box still' });
    lead.hear({ type: 'updated', topic, id: update?.['id'] });
    lead.hear({ type: 'hidden', topic, devices: ['a'] });
    lead.close(1006);
    lead.tell({ is: 'viewed', view: { bbox: box } });
    lead.untilDue();
    lead.open();
    expect(lead.sent).toEqual([expect.not.objectContaining({ cursor: expect.anything() })]);
  });

  test('is resumed from the first cursor of the box that was wanted last', () => {
    const lead = new Lead({ view: { bbox: [0, 40, 10, 50] } }).goLive();
    lead.after(1_000, { is: 'viewed', view: { bbox: [20, 40, 30, 50] } });
    lead.hear({ type: 'updated', topic, id: lead.sent[0]?.['id'] });
    lead.hear({ type: 'positions', topic, rows: [], cursor: 'c2' });
    lead.close(1006);
    lead.untilDue();
    lead.open();
    expect(lead.sent).toEqual([expect.objectContaining({ cursor: 'c2', bbox: [20, 40, 30, 50] })]);
  });

  test('uses a heartbeat’s cursor only where it can mean but one topic', () => {
    const lead = new Lead({ topics: [topic, otherTopic] }).goLive('c1', 'e1');
    lead.hear({ type: 'heartbeat', time: 1, cursor: 'c2' });
    lead.close(1006);
    lead.untilDue();
    lead.open();
    expect(lead.sent.map(({ cursor }) => cursor)).toEqual(['c1', 'c1']);
  });
});

describe('a server that goes away', () => {
  test('is left when it closes, and nobody comes back before the time it gave, woken or not', () => {
    const lead = new Lead({ random: () => 0 }).goLive();
    lead.hear({ type: 'reconnect', afterMs: 8_000 });
    expect(lead.state).toBe('live');
    lead.nowMs += 2_000;
    lead.close(1012);
    expect(lead.waitMs).toBe(6_000);
    expect(lead.after(1_000, { is: 'woken' })).toEqual([]);
    expect(lead.waitMs).toBe(5_000);
    expect(lead.untilDue()).toEqual([{ do: 'open' }]);
  });

  test('and does not close is left when the time has come', () => {
    const lead = new Lead({ random: () => 0 }).goLive();
    lead.hear({ type: 'reconnect', afterMs: 8_000 });
    expect(lead.waitMs).toBe(8_000);
    expect(lead.untilDue()).toEqual([
      { do: 'drop' },
      { do: 'state', state: 'reconnecting', ending: undefined },
    ]);
    expect(lead.untilDue()).toEqual([{ do: 'open' }]);
  });
});

describe('silence', () => {
  test('of 35 s makes the state stale and asks; any word ends it', () => {
    const lead = new Lead().goLive();
    expect(lead.waitMs).toBe(35_000);
    lead.untilDue();
    expect(lead.state).toBe('stale');
    expect(lead.sent).toEqual([{ type: 'ping', id: 2 }]);
    lead.after(9_999, { is: 'heard', text: 'whatever' });
    expect(lead.actions).toEqual([{ do: 'state', state: 'live', ending: undefined }]);
    expect(lead.waitMs).toBe(35_000);
  });

  test('that lasts 10 s longer is the end of the connection', () => {
    const lead = new Lead().goLive();
    lead.untilDue();
    expect(lead.waitMs).toBe(10_000);
    expect(lead.untilDue()).toEqual([
      { do: 'drop' },
      { do: 'state', state: 'reconnecting', ending: undefined },
    ]);
    expect(lead.machine.dueAtMs).toBeLessThan(Infinity);
  });

  test('is not waited for after waking up: the connection has 5 s to prove itself', () => {
    const lead = new Lead().goLive();
    lead.tell({ is: 'woken' });
    expect(lead.sent).toEqual([{ type: 'ping', id: 2 }]);
    expect(lead.tell({ is: 'woken' })).toEqual([]);
    expect(lead.state).toBe('live');
    expect(lead.waitMs).toBe(5_000);
    lead.untilDue();
    expect(lead.done).toContain('drop');
  });
});

describe('waking up', () => {
  test('ends a wait at once, but attempts keep a second between them', () => {
    const lead = new Lead({ random: () => 0.999 });
    lead.tell({ is: 'started' });
    for (let round = 0; round < 5; round += 1) {
      lead.close(1006);
      lead.untilDue();
    }
    lead.nowMs += 400;
    lead.close(1006);
    lead.tell({ is: 'woken' });
    expect(lead.actions).toEqual([]);
    expect(lead.waitMs).toBe(600);
    lead.untilDue();
    lead.nowMs += 3_000;
    lead.close(1006);
    expect(lead.tell({ is: 'woken' })).toEqual([{ do: 'open' }]);
  });
});

describe('an error', () => {
  test('that is temporary is followed by another subscribe, not before the time it names', () => {
    const lead = new Lead({ random: () => 0 });
    lead.tell({ is: 'started' });
    lead.open();
    lead.hear({
      type: 'error',
      id: 1,
      code: 'unavailable',
      message: 'later',
      temporary: true,
      retryAfterMs: 4_000,
    });
    expect(lead.actions).toEqual([
      { do: 'problem', problem: { code: 'unavailable', message: 'later', topic, isTemporary: true } },
    ]);
    expect(lead.state).toBe('connecting');
    expect(lead.waitMs).toBe(4_000);
    lead.untilDue();
    expect(lead.sent).toEqual([{ type: 'subscribe', id: 2, topic }]);
  });

  test('that is temporary binds the next connection too', () => {
    const lead = new Lead({ random: () => 0 });
    lead.tell({ is: 'started' });
    lead.open();
    lead.hear({ type: 'error', id: 1, code: 'unavailable', temporary: true, retryAfterMs: 4_000 });
    lead.close(1006);
    lead.untilDue();
    lead.open();
    expect(lead.sent).toEqual([]);
    lead.after(4_000);
    expect(lead.sent).toEqual([{ type: 'subscribe', id: 2, topic }]);
  });

  test('without a time is retried with growing waits', () => {
    const lead = new Lead({ random: () => 0.999 });
    lead.tell({ is: 'started' });
    lead.open();
    const waitsMs = Array.from({ length: 4 }, (_, at) => {
      lead.hear({ type: 'error', id: at + 1, code: 'internal', message: '', temporary: true });
      const { waitMs } = lead;
      lead.untilDue();
      return Math.round(waitMs / 0.999);
    });
    expect(waitsMs).toEqual([1_000, 2_000, 4_000, 8_000]);
  });

  test('for good on one topic leaves the others as they are', () => {
    const lead = new Lead({ topics: [topic, otherTopic] });
    lead.tell({ is: 'started' });
    lead.open();
    lead.hear({ type: 'error', id: 1, code: 'forbidden', message: 'no', temporary: false });
    lead.hear({ type: 'subscribed', topic: otherTopic, id: 2, epoch: 'e', recovered: false, devices: 0 });
    expect(lead.state).toBe('live');
    lead.close(1006);
    lead.untilDue();
    lead.open();
    expect(lead.sent.map((message) => message['topic'])).toEqual([otherTopic]);
  });

  test.each([
    ['forbidden', 'unauthorised'],
    ['unknown-topic', 'closed'],
  ])('%s on the last topic ends the client as %s', (code, state) => {
    const lead = new Lead();
    lead.tell({ is: 'started' });
    lead.open();
    lead.hear({ type: 'error', id: 1, code, message: 'no', temporary: false });
    expect(lead.done).toEqual(['problem', 'drop', 'state']);
    expect(lead.state).toBe(state);
  });

  test('that answers nothing of ours is reported and changes nothing', () => {
    const lead = new Lead().goLive();
    lead.hear({ type: 'error', code: 'bad-message', message: 'what?', temporary: false });
    expect(lead.done).toEqual(['problem']);
    expect(lead.state).toBe('live');
  });
});

describe('a withdrawn permission', () => {
  test('takes the devices off the map and ends the client', () => {
    const lead = new Lead().goLive();
    lead.hear({ type: 'positions', topic, rows: [rowAt('a', 1)], cursor: 'c2' });
    lead.hear({ type: 'unsubscribed', topic, reason: 'forbidden' });
    expect(lead.actions).toContainEqual({
      do: 'change',
      change: { topic, positions: [], removed: ['a'] },
    });
    expect(lead.state).toBe('unauthorised');
  });
});

describe('another view', () => {
  test('is told at once, then at most every 500 ms with the newest', () => {
    const lead = new Lead({ view: { maxHz: 4 } }).goLive();
    lead.tell({ is: 'viewed', view: { bbox: [0, 0, 1, 1] } });
    expect(lead.sent).toEqual([{ type: 'update', id: 2, topic, maxHz: 4, bbox: [0, 0, 1, 1] }]);
    lead.tell({ is: 'viewed', view: { bbox: [0, 0, 2, 2] } });
    lead.tell({ is: 'viewed', view: { bbox: null, maxHz: 1 } });
    expect(lead.actions).toEqual([]);
    expect(lead.waitMs).toBe(500);
    lead.untilDue();
    expect(lead.sent).toEqual([{ type: 'update', id: 3, topic, maxHz: 1, bbox: null }]);
    expect(lead.waitMs).toBeGreaterThan(500);
  });

  test('that is wanted before the subscription is answered follows the answer', () => {
    const lead = new Lead();
    lead.tell({ is: 'started' });
    lead.open();
    lead.tell({ is: 'viewed', view: { maxHz: 1 } });
    expect(lead.sent).toEqual([]);
    lead.hear({ type: 'subscribed', topic, id: 1, epoch: 'e', recovered: false, devices: 0 });
    expect(lead.sent).toEqual([{ type: 'update', id: 2, topic, maxHz: 1, bbox: null }]);
  });

  test('that is wanted while there is no connection goes into the next subscribe', () => {
    const lead = new Lead().goLive();
    lead.close(1006);
    expect(lead.tell({ is: 'viewed', view: { bbox: [1, 1, 2, 2] } })).toEqual([]);
    lead.untilDue();
    lead.open();
    expect(lead.sent[0]).toMatchObject({ type: 'subscribe', bbox: [1, 1, 2, 2] });
    lead.hear({ type: 'subscribed', topic, id: 2, epoch: 'e1', recovered: false, devices: 0 });
    expect(lead.sent).toEqual([]);
  });

  test('that the server cannot take now is told again', () => {
    const lead = new Lead().goLive();
    lead.tell({ is: 'viewed', view: { maxHz: 1 } });
    lead.hear({
      type: 'error',
      id: 2,
      code: 'rate-limited',
      message: '',
      temporary: true,
      retryAfterMs: 900,
    });
    expect(lead.waitMs).toBe(900);
    lead.untilDue();
    expect(lead.sent).toEqual([{ type: 'update', id: 3, topic, maxHz: 1, bbox: null }]);
  });
});

describe('close', () => {
  test('drops the socket and says so; nothing happens after it', () => {
    const lead = new Lead().goLive();
    lead.tell({ is: 'stopped' });
    expect(lead.done).toEqual(['drop', 'state']);
    expect(lead.state).toBe('closed');
    expect(lead.close(1006)).toEqual([]);
    expect(lead.after(1e6)).toEqual([]);
    expect(lead.machine.dueAtMs).toBe(Infinity);
  });
});
