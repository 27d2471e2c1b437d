import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clientAddress, parseTrustedProxies } from '../../src/server/client-address.ts';
import type { TrustedProxies } from '../../src/server/client-address.ts';

function trust(value: string): TrustedProxies {
  const proxies = parseTrustedProxies(value);
  if (typeof proxies === 'string') throw new Error(proxies);
  return proxies;
}

const none = trust('');
const trusted = trust('10.0.0.0/8, 192.0.2.1, fd00::/8');

describe("a client's address", () => {
  test("is the socket's when no proxy is trusted, whatever the client claims", () => {
    expect(clientAddress('198.51.100.7', '203.0.113.1', 'x-forwarded-for', none)).toBe('198.51.100.7');
    expect(clientAddress('198.51.100.7', 'for=203.0.113.1', 'forwarded', none)).toBe('198.51.100.7');
    expect(clientAddress('198.51.100.7', '203.0.113.1', 'x-forwarded-for', trusted)).toBe('198.51.100.7');
  });

  test('is IPv4 when a dual-stack socket reports it as IPv6', () => {
    expect(clientAddress('::ffff:10.1.2.3', '203.0.113.1', 'x-forwarded-for', trusted)).toBe('203.0.113.1');
    const long = '0000:0000:0000:0000:0000:ffff:c633:6407';
    expect(clientAddress(long, '', 'x-forwarded-for', trusted)).toBe('198.51.100.7');
  });

  test.each([
    ['evil, 203.0.113.1, 192.0.2.1', '203.0.113.1'],
    ['2001:db8::5', '2001:db8::5'],
    // Ports, as Azure's and Amazon's balancers append them.
    ['203.0.113.7:51234', '203.0.113.7'],
    ['[2001:db8::7]:51234', '2001:db8::7'],
    ['[2001:db8::7]', '2001:db8::7'],
    ['203.0.113.7:51234, 10.9.9.9:80, [fd00::9]:443', '203.0.113.7'],
    ['[::ffff:203.0.113.7]:51234', '203.0.113.7'],
    // Nothing, or no address: the nearest known one.
    ['', '10.1.2.3'],
    ['10.9.9.9', '10.9.9.9'],
    ['203.0.113.1, unknown', '10.1.2.3'],
    ['203.0.113.1, _hidden, 10.9.9.9', '10.9.9.9'],
    ['203.0.113.1,', '10.1.2.3'],
    ['203.0.113.1, not an address', '10.1.2.3'],
    ['203.0.113.1, 203.0.113.7:', '10.1.2.3'],
    ['for=203.0.113.1', '10.1.2.3'],
  ])('behind a proxy with X-Forwarded-For: %s is %s', (header, address) => {
    expect(clientAddress('10.1.2.3', header, 'x-forwarded-for', trusted)).toBe(address);
  });

  test.each([
    ['for=203.0.113.1', '203.0.113.1'],
    ['For="203.0.113.7:51234";proto=https;by=10.1.2.3', '203.0.113.7'],
    ['proto=https ; for="[2001:db8::7]:51234" ; host="a,b;for=192.0.2.9"', '2001:db8::7'],
    ['for=evil, for=203.0.113.1;by=_a, for=192.0.2.1', '203.0.113.1'],
    ['for="\\203.0.113.1"', '203.0.113.1'],
    // A quote that the client left open, or an escape, swallows nothing of what the proxy appended.
    ['for="198.51.100.9, for=203.0.113.1', '203.0.113.1'],
    ['for="198.51.100.9\\", for=203.0.113.1;host="x"', '203.0.113.1'],
    ['for=198.51.100.9;x=", for="203.0.113.1"', '203.0.113.1'],
    // Hidden, missing or no address: the nearest known one.
    ['for=203.0.113.1, for=unknown', '10.1.2.3'],
    ['for=203.0.113.1, for="_hidden:_port", for=10.9.9.9', '10.9.9.9'],
    ['for=203.0.113.1, proto=https', '10.1.2.3'],
    ['203.0.113.1', '10.1.2.3'],
    ['', '10.1.2.3'],
  ])('behind a proxy with Forwarded: %s is %s', (header, address) => {
    expect(clientAddress('10.1.2.3', header, 'forwarded', trusted)).toBe(address);
  });

  test('is what the proxy appended, whatever the client sent before', () => {
    const claim = fc.oneof(
      fc.string(),
      fc
        .array(fc.constantFrom('"', '\\', ',', ';', '=', 'for=', '[', ']', ':', '192.0.2.9'))
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(claim, (before) => {
        expect(clientAddress('10.1.2.3', `${before}, 203.0.113.7:1`, 'x-forwarded-for', trusted)).toBe(
          '203.0.113.7',
        );
        expect(clientAddress('10.1.2.3', `${before}, for="203.0.113.7:1"`, 'forwarded', trusted)).toBe(
          '203.0.113.7',
        );
      }),
    );
  });
});

test.each(['10.0.0.0/33', 'localhost', '10.0.0.0/x', '/8'])('%s is rejected as a trusted proxy', (value) => {
  expect(parseTrustedProxies(value)).toContain('neither an IP address nor a network');
});
