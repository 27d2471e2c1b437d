import { describe, expect, test } from 'vitest';
import { MachineDriver, topic } from './support/machine-driver.ts';

const results = 'results:0190c5de-7a5b-7000-8000-000000000001';

/** A client that holds two rows as of revision 5. */
function live(topics: readonly string[] = [results]): MachineDriver {
  const driver = new MachineDriver({ topics, view: { maxHz: 2 } });
  driver.dispatch({ type: 'start' });
  driver.open();
  const id = driver.sent.find((sent) => sent['topic'] === results)?.['id'];
  driver.receive({
    type: 'results',
    topic: results,
    id,
    reset: true,
    set: { stage_results: [{ key: 'a', status: 'on_stage', progress_m: 1 }] },
  });
  receive(driver, { set: { passings: [{ key: 'p', gate_id: 'g' }] }, revision: 5, cursor: 'c5' });
  return driver;
}

function receive(driver: MachineDriver, fields: object): void {
  driver.receive({ type: 'results', topic: results, ...fields });
}

function held(driver: MachineDriver): unknown {
  const tables = driver.machine.results.get(results)?.tables ?? new Map();
  return Object.fromEntries([...tables].map(([table, rows]) => [table, [...rows.values()]]));
}

describe('the results of an event', () => {
  test('are subscribed without a view, and the client is live with the first of them', () => {
    const driver = new MachineDriver({ topics: [topic, results], view: { maxHz: 2 } });
    driver.dispatch({ type: 'start' });
    driver.open();
    expect(driver.sent).toEqual([
      { type: 'subscribe', id: 1, topic, maxHz: 2 },
      { type: 'subscribe', id: 2, topic: results },
    ]);
    driver.receive({ type: 'subscribed', topic, id: 1, epoch: 'e', recovered: false, devices: 0 });
    expect(driver.state).toBe('connecting');
    driver.receive({ type: 'results', topic: results, id: 2, reset: true, revision: 0, cursor: 'c0' });
    expect(driver.state).toBe('live');
  });

  test('are whole rows, of which only the columns that changed arrive', () => {
    const driver = live();
    receive(driver, {
      set: { stage_results: [{ key: 'a', progress_m: 2 }], unknown_table: [{ key: 'u' }] },
      removed: { passings: ['p', 'never held'] },
      revision: 6,
      cursor: 'c6',
    });
    const row = { key: 'a', status: 'on_stage', progress_m: 2 };
    expect(driver.actions).toEqual([
      {
        type: 'results',
        change: {
          topic: results,
          set: { stage_results: [row], unknown_table: [{ key: 'u' }] },
          removed: { passings: ['p'], stage_results: [], unknown_table: [] },
          revision: 6,
        },
      },
    ]);
    expect(held(driver)).toEqual({ stage_results: [row], passings: [], unknown_table: [{ key: 'u' }] });
  });

  test('are replaced by a reset, which names what is gone', () => {
    const driver = live();
    receive(driver, { reset: true, set: { stage_results: [{ key: 'a', status: 'finished' }] } });
    expect(driver.actions).toMatchObject([
      { change: { removed: { stage_results: [], passings: ['p'] }, revision: undefined } },
    ]);
    // No column of before the reset.
    expect(held(driver)).toEqual({ stage_results: [{ key: 'a', status: 'finished' }] });
  });

  test.each([
    ['of the last complete revision', { set: { passings: [{ key: 'q' }] } }, 'c5'],
    ['of the newest revision', { set: { passings: [{ key: 'q' }] }, revision: 6, cursor: 'c6' }, 'c6'],
    [
      'none, after a reset that is not complete',
      { reset: true, set: { passings: [{ key: 'q' }] } },
      undefined,
    ],
  ])('resume from a cursor: %s', (_, message, cursor) => {
    const driver = live();
    receive(driver, message);
    driver.close(1006);
    expect(driver.state).toBe('reconnecting');
    driver.runTimer();
    driver.open();
    expect(driver.sent).toEqual([
      { type: 'subscribe', id: 2, topic: results, ...(cursor !== undefined && { cursor }) },
    ]);
    receive(driver, { id: 2, removed: { passings: ['p'] }, revision: 7, cursor: 'c7' });
    expect(driver.state).toBe('live');
    expect(held(driver)).toMatchObject({ passings: [{ key: 'q' }] });
  });

  test('are not resumed from the cursor of a heartbeat, which is of positions', () => {
    const driver = live();
    driver.receive({ type: 'heartbeat', time: 0, cursor: 'of positions' });
    expect(driver.machine.results.get(results)?.cursor).toBe('c5');
  });

  test('are forgotten when the permission is withdrawn; the client ends with its last topic', () => {
    const driver = live();
    driver.receive({ type: 'unsubscribed', topic: results, reason: 'forbidden' });
    expect(held(driver)).toEqual({});
    expect(driver.actions).toMatchObject([
      { type: 'problem', problem: { code: 'forbidden', topic: results } },
      { type: 'results', change: { removed: { stage_results: ['a'], passings: ['p'] } } },
      { type: 'disconnect' },
      { type: 'state', state: 'unauthorised' },
    ]);
  });

  test('are subscribed again after a temporary error, and do not follow the view', () => {
    const driver = new MachineDriver({ topics: [results] });
    driver.dispatch({ type: 'start' });
    driver.open();
    driver.receive({ type: 'error', id: 1, code: 'unavailable', message: '', temporary: true });
    driver.runTimer();
    expect(driver.sent).toEqual([{ type: 'subscribe', id: 2, topic: results }]);
    driver.receive({ type: 'results', topic: results, id: 2, reset: true, revision: 0, cursor: 'c' });
    driver.dispatch({ type: 'update', view: { maxHz: 1 } });
    driver.after(1000);
    expect(driver.sent).toEqual([]);
  });

  test.each([
    { set: 1 },
    { set: { passings: 'none' } },
    { set: { passings: [null, 5, {}, { key: 3 }] } },
    { removed: { passings: 'p' } },
  ])('are not changed by %o', (message) => {
    const driver = live();
    const before = held(driver);
    receive(driver, message);
    expect(held(driver)).toEqual(before);
  });
});
