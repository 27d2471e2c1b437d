import { describe, expect, test } from 'vitest';
import { SessionCookie } from '../../src/access/session-cookie.ts';
import { SessionTickets } from '../../src/access/session-tickets.ts';

const connection = '0f0e0d0c-0b0a-4908-8706-050403020100';
const cookieName = 'directus_session_token';
const cookie = new SessionCookie(cookieName, 'eyJ.session');

function openTickets({ secret = 's'.repeat(32) } = {}) {
  const clock = { nowMs: 1_000_000 };
  return { tickets: new SessionTickets(secret, cookieName, () => clock.nowMs), clock };
}

describe('a session ticket', () => {
  test('is opened by each replica with the key, and does not show the session', () => {
    const ticket = openTickets().tickets.seal(cookie, connection);
    expect(openTickets().tickets.open(ticket, connection)?.header()).toBe(cookie.header());
    expect(Buffer.from(ticket, 'base64url').toString('latin1')).not.toContain('session');
    expect(openTickets().tickets.seal(cookie, connection)).not.toBe(ticket);
  });

  test('is refused with another connection, another key, or after 30 s', () => {
    const { tickets, clock } = openTickets();
    const ticket = tickets.seal(cookie, connection);
    expect(tickets.open(ticket, connection.replace('0f', '1f'))).toBeUndefined();
    expect(openTickets({ secret: 't'.repeat(32) }).tickets.open(ticket, connection)).toBeUndefined();
    clock.nowMs += 29_999;
    expect(tickets.open(ticket, connection)?.header()).toBe(cookie.header());
    clock.nowMs += 1;
    expect(tickets.open(ticket, connection)).toBeUndefined();
  });

  test('is refused when any byte is changed, cut off or added', () => {
    const { tickets } = openTickets();
    const bytes = Buffer.from(tickets.seal(cookie, connection), 'base64url');
    for (let at = 0; at < bytes.byteLength; at += 1) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      expect(tickets.open(changed.toString('base64url'), connection)).toBeUndefined();
      expect(tickets.open(bytes.subarray(0, at).toString('base64url'), connection)).toBeUndefined();
    }
    expect(tickets.open(`${bytes.toString('base64url')}AAAA`, connection)).toBeUndefined();
    for (const garbage of ['', 'x', '€', 'A'.repeat(4_000)]) {
      expect(tickets.open(garbage, connection)).toBeUndefined();
    }
  });
});
