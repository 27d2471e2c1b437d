import { describe, expect, test } from 'vitest';
import type { Question } from '../src/machine.ts';
import { Lead } from './support/lead-machine.ts';

const both: readonly Question[] = ['checkSession', 'refreshSession'];

/** Answers the question asked last, which must be this one. */
function answer(lead: Lead, question: Question, status: number | undefined): void {
  const asked = lead.actions.find((action) => action.do === 'ask');
  expect(asked?.question).toBe(question);
  lead.tell({ is: 'answered', number: asked?.number ?? 0, status });
}

function refuseUpgrade(lead: Lead): void {
  lead.close(1006);
}

describe('two attempts that never opened', () => {
  test('lead to the question whether the session is valid, and no is the end', () => {
    const lead = new Lead({ canAsk: ['checkSession'] });
    lead.tell({ is: 'started' });
    refuseUpgrade(lead);
    expect(lead.actions).toEqual([]);
    lead.untilDue();
    refuseUpgrade(lead);
    answer(lead, 'checkSession', 401);
    expect(lead.actions).toEqual([
      { do: 'state', state: 'unauthorised', ending: { reason: 'the session is not valid' } },
    ]);
    expect(lead.machine.dueAtMs).toBe(Infinity);
  });

  test.each([200, 204, 429, 500, 503, undefined])('go on after the answer %s', (status) => {
    const lead = new Lead({ canAsk: both });
    lead.tell({ is: 'started' });
    refuseUpgrade(lead);
    lead.untilDue();
    refuseUpgrade(lead);
    answer(lead, 'checkSession', status);
    expect(lead.state).toBe('connecting');
    expect(lead.untilDue()).toEqual([{ do: 'open' }]);
  });

  test('go on when there is no answer within 10 s, and a late one is not listened to', () => {
    const lead = new Lead({ canAsk: both });
    lead.tell({ is: 'started' });
    refuseUpgrade(lead);
    lead.untilDue();
    refuseUpgrade(lead);
    const asked = lead.actions.find((action) => action.do === 'ask');
    expect(lead.waitMs).toBe(10_000);
    lead.untilDue();
    expect(lead.tell({ is: 'answered', number: asked?.number ?? 0, status: 401 })).toEqual([]);
    expect(lead.untilDue()).toEqual([{ do: 'open' }]);
  });

  test('are not counted together with one that opened in between', () => {
    const lead = new Lead({ canAsk: both });
    lead.tell({ is: 'started' });
    refuseUpgrade(lead);
    lead.untilDue();
    lead.open();
    lead.close(1006);
    lead.untilDue();
    refuseUpgrade(lead);
    expect(lead.done).not.toContain('ask');
  });

  test('are tried on where nobody can be asked', () => {
    const lead = new Lead();
    lead.tell({ is: 'started' });
    for (let round = 0; round < 20; round += 1) {
      refuseUpgrade(lead);
      expect(lead.untilDue()).toEqual([{ do: 'open' }]);
    }
  });
});

describe('4001', () => {
  test('is followed by an attempt with the cookie of now, and that may be all', () => {
    const lead = new Lead({ canAsk: both }).goLive();
    lead.close(4001);
    expect(lead.done).toEqual(['state']);
    expect(lead.untilDue()).toEqual([{ do: 'open' }]);
    lead.open();
    expect(lead.done).toEqual(['send']);
  });

  test('refreshes the session only when that attempt failed and the session is gone, then tries again', () => {
    const lead = new Lead({ canAsk: both }).goLive();
    lead.close(4001);
    lead.untilDue();
    refuseUpgrade(lead);
    answer(lead, 'checkSession', 401);
    answer(lead, 'refreshSession', 200);
    expect(lead.state).toBe('reconnecting');
    expect(lead.untilDue()).toEqual([{ do: 'open' }]);
  });

  test('refreshes nothing while the session is valid', () => {
    const lead = new Lead({ canAsk: both }).goLive();
    lead.close(4001);
    lead.untilDue();
    refuseUpgrade(lead);
    answer(lead, 'checkSession', 200);
    expect(lead.done).toEqual([]);
    expect(lead.untilDue()).toEqual([{ do: 'open' }]);
  });

  test('twice in a row asks although the attempt in between opened', () => {
    const lead = new Lead({ canAsk: both }).goLive();
    lead.close(4001);
    lead.goLive();
    lead.close(4001);
    answer(lead, 'checkSession', 401);
    answer(lead, 'refreshSession', 200);
    lead.goLive();
    lead.close(4001);
    answer(lead, 'checkSession', 401);
    expect(lead.state).toBe('unauthorised');
  });

  test('after a connection that lasted is a new case, with a refresh of its own', () => {
    const lead = new Lead({ canAsk: both }).goLive();
    for (let round = 0; round < 3; round += 1) {
      lead.nowMs += 10_000;
      lead.close(4001);
      lead.untilDue();
      refuseUpgrade(lead);
      answer(lead, 'checkSession', 403);
      answer(lead, 'refreshSession', 200);
      lead.goLive();
    }
    expect(lead.state).toBe('live');
  });

  test.each([400, 401, 403])('ends it when the refresh is refused with %i', (status) => {
    const lead = new Lead({ canAsk: both }).goLive();
    lead.close(4001);
    lead.untilDue();
    refuseUpgrade(lead);
    answer(lead, 'checkSession', 401);
    answer(lead, 'refreshSession', status);
    expect(lead.state).toBe('unauthorised');
  });

  test.each([429, 503, undefined])('goes on when the refresh got %s, and refreshes later', (status) => {
    const lead = new Lead({ canAsk: both }).goLive();
    lead.close(4001);
    lead.untilDue();
    refuseUpgrade(lead);
    answer(lead, 'checkSession', 401);
    answer(lead, 'refreshSession', status);
    lead.untilDue();
    refuseUpgrade(lead);
    answer(lead, 'checkSession', 401);
    answer(lead, 'refreshSession', 200);
    expect(lead.untilDue()).toEqual([{ do: 'open' }]);
  });
});
