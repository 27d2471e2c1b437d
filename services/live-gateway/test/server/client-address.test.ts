import { describe, expect, test } from 'vitest';
import { clientAddress, parseTrustedProxies } from '../../src/server/client-address.ts';
import type { TrustedProxies } from '../../src/server/client-address.ts';

function trust(value: string): TrustedProxies {
  const proxies = parseTrustedProxies(value);
  if (typeof proxies === 'string') throw new Error(proxies);
  return proxies;
}

describe("a client's address", () => {
  test("is the socket's when no proxy is trusted, whatever the client claims", () => {
    expect(clientAddress('198.51.100.7', '203.0.113.1', trust(''))).toBe('198.51.100.7');
  });

  test('is the last one in X-Forwarded-For that is not a trusted proxy', () => {
    const trusted = trust('10.0.0.0/8, 192.0.2.1, fd00::/8');
    expect(clientAddress('10.1.2.3', 'evil, 203.0.113.1, 192.0.2.1', trusted)).toBe('203.0.113.1');
    expect(clientAddress('fd00::1', '2001:db8::5', trusted)).toBe('2001:db8::5');
    expect(clientAddress('198.51.100.7', '203.0.113.1', trusted)).toBe('198.51.100.7');
  });

  test('is the nearest known one when the header is empty or invalid', () => {
    const trusted = trust('10.0.0.0/8');
    expect(clientAddress('10.1.2.3', '', trusted)).toBe('10.1.2.3');
    expect(clientAddress('10.1.2.3', '203.0.113.1, not an address', trusted)).toBe('10.1.2.3');
    expect(clientAddress('10.1.2.3', '10.9.9.9', trusted)).toBe('10.9.9.9');
  });

  test('is IPv4 when a dual-stack socket reports it as IPv6', () => {
    const trusted = trust('10.0.0.0/8');
    expect(clientAddress('::ffff:10.1.2.3', '203.0.113.1', trusted)).toBe('203.0.113.1');
    expect(clientAddress('0000:0000:0000:0000:0000:ffff:c633:6407', '', trusted)).toBe('198.51.100.7');
  });
});

test.each(['10.0.0.0/33', 'localhost', '10.0.0.0/x', '/8'])('%s is rejected as a trusted proxy', (value) => {
  expect(parseTrustedProxies(value)).toContain('neither an IP address nor a network');
});
