import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { addressNetwork } from '../../src/access/address-network.ts';
import { readBearerToken } from '../../src/access/bearer-token.ts';
import { readCredential } from '../../src/access/read-credential.ts';
import { SessionCookie } from '../../src/access/session-cookie.ts';

const cookieHeader = 'theme=dark; s=session';

function kindOf(
  request: { readonly authorization?: string; readonly cookieHeader?: string },
  rules: { readonly acceptsBearerTokens?: boolean; readonly admitsAnonymous?: boolean } = {},
): string | undefined {
  return readCredential(
    { authorization: '', cookieHeader: '', ...request },
    { cookieName: 's', acceptsBearerTokens: false, admitsAnonymous: false, ...rules },
  )?.kind;
}

describe('the credential of a request', () => {
  test('is the session cookie only, unless other kinds are switched on', () => {
    expect(kindOf({ cookieHeader })).toBe('session');
    expect(kindOf({})).toBeUndefined();
    expect(kindOf({ authorization: 'Bearer x' })).toBeUndefined();
    expect(kindOf({ authorization: 'Bearer x', cookieHeader })).toBe('session');
  });

  test('is a bearer token before a cookie; another scheme or an invalid token is refused', () => {
    const rules = { acceptsBearerTokens: true, admitsAnonymous: true };
    expect(kindOf({ authorization: 'bearer  aZ0-._~+/==', cookieHeader }, rules)).toBe('bearer');
    expect(kindOf({ cookieHeader }, rules)).toBe('session');
    for (const authorization of ['Basic eDp5', 'Bearer', 'Bearer a b', 'Bearer é', 'Bearer x,Bearer y']) {
      expect(kindOf({ authorization, cookieHeader }, rules)).toBeUndefined();
    }
  });

  test('is none only without a session cookie: an invalid one does not count as none', () => {
    const rules = { admitsAnonymous: true };
    for (const header of ['', 'theme=dark', 'ss=session', 's=']) {
      expect(kindOf({ cookieHeader: header }, rules)).toBe('anonymous');
    }
    expect(kindOf({ cookieHeader }, rules)).toBe('session');
    expect(kindOf({ cookieHeader: 's=a b' }, rules)).toBeUndefined();
  });
});

test('a bearer token shows its value only in the header for Directus, and is cached apart from a cookie', () => {
  const token = readBearerToken('Bearer secret');
  expect(token?.headers()).toEqual({ authorization: 'Bearer secret' });
  expect(`${JSON.stringify({ token })} ${inspect({ token })} ${token?.hash}`).not.toContain('secret');
  expect(token?.hash).not.toBe(new SessionCookie('s', 'secret').hash);
});

test.each([
  ['203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002::1', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::', 'fe80:0:0:0::/64'],
])('connections from %s are counted with those of %s', (address, network) => {
  expect(addressNetwork(address)).toBe(network);
});
