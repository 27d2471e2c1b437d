import { describe, expect, test } from 'vitest';
import type { SessionRequest } from '../src/machine.ts';
import { MachineDriver } from './support/machine-driver.ts';

const both: readonly SessionRequest[] = ['checkSession', 'refreshSession'];

/** Responds to the pending request, which must be `name`. */
function respond(driver: MachineDriver, name: SessionRequest, status: number | undefined): void {
  const pending = driver.actions.find((action) => action.type === 'request');
  expect(pending?.request).toBe(name);
  driver.dispatch({ type: 'response', number: pending?.number ?? 0, status });
}

function rejectUpgrade(driver: MachineDriver): void {
  driver.close(1006);
}

function afterTwoRejectedUpgrades(): MachineDriver {
  const driver = new MachineDriver({ sessionRequests: both });
  driver.dispatch({ type: 'start' });
  rejectUpgrade(driver);
  driver.runTimer();
  rejectUpgrade(driver);
  return driver;
}

describe('two attempts that did not open', () => {
  test('check the session, and end the client if it is gone', () => {
    const driver = new MachineDriver({ sessionRequests: ['checkSession'] });
    driver.dispatch({ type: 'start' });
    rejectUpgrade(driver);
    expect(driver.actions).toEqual([]);
    driver.runTimer();
    rejectUpgrade(driver);
    respond(driver, 'checkSession', 401);
    expect(driver.actions).toEqual([
      { type: 'state', state: 'unauthorised', ending: { reason: 'the session is not valid' } },
    ]);
    expect(driver.machine.timerAtMs).toBe(Infinity);
  });

  test.each([200, 204, 429, 500, 503, undefined])(
    'are followed by a retry if the check returned %s',
    (status) => {
      const driver = afterTwoRejectedUpgrades();
      respond(driver, 'checkSession', status);
      expect(driver.state).toBe('connecting');
      expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
    },
  );

  test('are followed by a retry if the check took 10 s; a late response is ignored', () => {
    const driver = afterTwoRejectedUpgrades();
    const pending = driver.actions.find((action) => action.type === 'request');
    expect(driver.timerInMs).toBe(10_000);
    driver.runTimer();
    expect(driver.dispatch({ type: 'response', number: pending?.number ?? 0, status: 401 })).toEqual([]);
    expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
  });

  test('do not count if one opened in between', () => {
    const driver = new MachineDriver({ sessionRequests: both });
    driver.dispatch({ type: 'start' });
    rejectUpgrade(driver);
    driver.runTimer();
    driver.open();
    driver.close(1006);
    driver.runTimer();
    rejectUpgrade(driver);
    expect(driver.actionTypes).not.toContain('request');
  });

  test('are followed by retries if there is no session check', () => {
    const driver = new MachineDriver();
    driver.dispatch({ type: 'start' });
    for (let round = 0; round < 20; round += 1) {
      rejectUpgrade(driver);
      expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
    }
  });
});

/** After 4001 and a rejected attempt with the current cookie. */
function afterRejectedCookie(): MachineDriver {
  const driver = new MachineDriver({ sessionRequests: both }).goLive();
  driver.close(4001);
  driver.runTimer();
  rejectUpgrade(driver);
  return driver;
}

describe('4001', () => {
  test('first reconnects with the current cookie', () => {
    const driver = new MachineDriver({ sessionRequests: both }).goLive();
    driver.close(4001);
    expect(driver.actionTypes).toEqual(['state']);
    expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
    driver.open();
    expect(driver.actionTypes).toEqual(['send']);
  });

  test('refreshes the session if that attempt failed and the session is gone, then reconnects', () => {
    const driver = afterRejectedCookie();
    respond(driver, 'checkSession', 401);
    respond(driver, 'refreshSession', 200);
    expect(driver.state).toBe('reconnecting');
    expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
  });

  test('does not refresh a valid session', () => {
    const driver = afterRejectedCookie();
    respond(driver, 'checkSession', 200);
    expect(driver.actionTypes).toEqual([]);
    expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
  });

  test('twice in a row checks the session although the attempt in between opened', () => {
    const driver = new MachineDriver({ sessionRequests: both }).goLive();
    driver.close(4001);
    driver.goLive();
    driver.close(4001);
    respond(driver, 'checkSession', 401);
    respond(driver, 'refreshSession', 200);
    driver.goLive();
    driver.close(4001);
    respond(driver, 'checkSession', 401);
    expect(driver.state).toBe('unauthorised');
  });

  test('after a stable connection refreshes again', () => {
    const driver = new MachineDriver({ sessionRequests: both }).goLive();
    for (let round = 0; round < 3; round += 1) {
      driver.nowMs += 10_000;
      driver.close(4001);
      driver.runTimer();
      rejectUpgrade(driver);
      respond(driver, 'checkSession', 403);
      respond(driver, 'refreshSession', 200);
      driver.goLive();
    }
    expect(driver.state).toBe('live');
  });

  test.each([400, 401, 403])('ends the client if the refresh returned %i', (status) => {
    const driver = afterRejectedCookie();
    respond(driver, 'checkSession', 401);
    respond(driver, 'refreshSession', status);
    expect(driver.state).toBe('unauthorised');
  });

  test.each([429, 503, undefined])('retries and refreshes later if the refresh returned %s', (status) => {
    const driver = afterRejectedCookie();
    respond(driver, 'checkSession', 401);
    respond(driver, 'refreshSession', status);
    driver.runTimer();
    rejectUpgrade(driver);
    respond(driver, 'checkSession', 401);
    respond(driver, 'refreshSession', 200);
    expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
  });
});

/** Live, on a connection that accepts tickets. */
function liveWithTickets(): MachineDriver {
  const driver = new MachineDriver({ sessionRequests: both }).goLive();
  driver.receive({ type: 'hello', connection: 'c1', tickets: true });
  return driver;
}

describe('a refreshed session', () => {
  test('is handed over with a ticket, after `sessionRefreshed` and when the server says that the session has ended', () => {
    const driver = liveWithTickets();
    const request = [{ type: 'ticket', connection: 'c1' }];
    expect(driver.dispatch({ type: 'refreshed' })).toEqual(request);
    expect(driver.receive({ type: 'session-ended', afterMs: 10_000 })).toEqual(request);
    driver.dispatch({ type: 'ticket', connection: 'c1', ticket: 't1' });
    expect(driver.sent).toEqual([{ type: 'reauthenticate', id: expect.any(Number), ticket: 't1' }]);
    expect(driver.receive({ type: 'reauthenticated', id: driver.sent[0]?.['id'] })).toEqual([]);
    expect(driver.state).toBe('live');
  });

  test('changes nothing if there is no ticket, or the server accepts none', () => {
    const driver = liveWithTickets();
    expect(driver.dispatch({ type: 'ticket', connection: 'c1', ticket: undefined })).toEqual([]);
    const without = new MachineDriver().goLive();
    expect(without.receive({ type: 'hello', connection: 'c1' })).toEqual([]);
    expect(without.dispatch({ type: 'refreshed' })).toEqual([]);
  });

  test('is not handed over to a later connection', () => {
    const driver = liveWithTickets();
    driver.close(1006);
    expect(driver.dispatch({ type: 'refreshed' })).toEqual([]);
    expect(driver.dispatch({ type: 'ticket', connection: 'c1', ticket: 't1' })).toEqual([]);
    driver.goLive();
    driver.receive({ type: 'hello', connection: 'c2', tickets: true });
    expect(driver.dispatch({ type: 'ticket', connection: 'c1', ticket: 't1' })).toEqual([]);
    expect(driver.dispatch({ type: 'refreshed' })).toEqual([{ type: 'ticket', connection: 'c2' }]);
  });

  test('that is refused is reported, and the later close with 4001 is handled as ever', () => {
    const driver = liveWithTickets();
    driver.dispatch({ type: 'ticket', connection: 'c1', ticket: 't1' });
    const [sent] = driver.sent;
    driver.receive({ type: 'error', id: sent?.['id'], code: 'bad-session', message: 'm', temporary: false });
    expect(driver.actions).toEqual([
      { type: 'problem', problem: { code: 'bad-session', message: 'm', isTemporary: false } },
    ]);
    driver.close(4001);
    expect(driver.runTimer()).toEqual([{ type: 'connect' }]);
  });
});
