import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sendRaw } from '../fuzz/raw-socket.ts';
import { openFixture } from '../support/open-fixture.ts';
import type { Fixture } from '../support/open-fixture.ts';
import { testOrigin } from '../support/start-gateway.ts';
import type { RunningGateway } from '../support/start-gateway.ts';

let fixture: Fixture;
let gateway: RunningGateway;

const appOrigins = ['capacitor://localhost', 'ionic://localhost'];

beforeAll(async () => {
  fixture = await openFixture();
  gateway = await fixture.start({
    env: {
      LIVE_ALLOWED_ORIGINS: [testOrigin, ...appOrigins].join(','),
      LIVE_TRUSTED_PROXIES: '127.0.0.1',
      LIVE_FORWARDED_HEADER: 'Forwarded',
    },
  });
});

afterAll(() => fixture[Symbol.asyncDispose]());

/** A masked text frame with the key 0. */
const pingFrame = Buffer.concat([Buffer.from([0x81, 0x8f, 0, 0, 0, 0]), Buffer.from('{"type":"ping"}')]);

function nameOf(line: string): string {
  return line.slice(0, line.indexOf(':')).toLowerCase();
}

/**
 * Sends an upgrade request with these header lines instead of the usual ones of the same names, and a `ping` once it is
 * accepted. Returns the status, or `pong` if the ping was answered.
 */
async function upgrade(lines: readonly string[], session = fixture.addViewer().session): Promise<string> {
  const replaced = new Set(lines.map(nameOf));
  const usual = [
    'Host: live.example.org',
    `Origin: ${testOrigin}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    `Cookie: directus_session_token=${session}`,
  ].filter((line) => !replaced.has(nameOf(line)));
  const head = ['GET /ws-live HTTP/1.1', ...usual, ...lines, '', ''].join('\r\n');
  let hasPinged = false;
  const { received } = await sendRaw(Number(new URL(gateway.wsUrl).port), {
    bytes: Buffer.from(head, 'latin1'),
    limitMs: 10_000,
    isComplete: (bytes, socket) => {
      const text = bytes.toString('latin1');
      if (!text.startsWith('HTTP/1.1 101')) return text.includes('\r\n\r\n');
      if (!hasPinged) socket.write(pingFrame);
      hasPinged = true;
      return text.includes('"pong"');
    },
  });
  const text = received.toString('latin1');
  return text.includes('"pong"') ? 'pong' : text.slice('HTTP/1.1 '.length, 'HTTP/1.1 '.length + 3);
}

/** The address that Directus gets for an upgrade request with these header lines. */
async function addressOf(lines: readonly string[]): Promise<string | undefined> {
  const callsBefore = fixture.directus.calls.length;
  expect(await upgrade(lines)).toBe('pong');
  return fixture.directus.calls[callsBefore]?.clientAddress;
}

describe('an upgrade request', () => {
  test.each([
    [['Connection: keep-alive', 'Connection: Upgrade']],
    [['Connection: Upgrade', 'Connection: keep-alive']],
    [['Connection: keep-alive,, upgrade ']],
    [['Connection: close, Upgrade']],
    [['Connection: Upgrade, close']],
    [['Connection: Upgrade', 'Connection: close']],
    [['Connection: X-Trace, Upgrade, X-Other']],
    [['Upgrade: h2c', 'Upgrade: WebSocket']],
  ])('with %j is accepted and served', async (lines) => {
    expect(await upgrade(lines)).toBe('pong');
  });

  test.each([
    [['Connection: close']],
    [['Connection: keep-alive']],
    [['Connection: X-Upgrade, upgrade-insecure']],
    // uWebSockets.js would close it right after the upgrade.
    [['Connection: close', 'Connection: Upgrade']],
    [['Connection: Close ', 'Connection: Upgrade']],
    [['Upgrade: h2c']],
    [['Sec-WebSocket-Version: 8']],
    [['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Version: 8']],
  ])('with %j is answered 400', async (lines) => {
    expect(await upgrade(lines)).toBe('400');
  });

  test('with the session cookie in a line of its own is accepted', async () => {
    const { session } = fixture.addViewer();
    expect(await upgrade(['Cookie: theme=dark', `Cookie: directus_session_token=${session}`])).toBe('pong');
  });

  test('with two origins is answered 403', async () => {
    expect(await upgrade([`Origin: ${testOrigin}`, 'Origin: https://evil.example.org'])).toBe('403');
  });

  test.each(appOrigins)('from the app origin %s is accepted', async (origin) => {
    expect(await upgrade([`Origin: ${origin}`])).toBe('pong');
  });

  test.each([
    'capacitor://localhost.evil',
    'capacitor://LOCALHOST',
    'capacitor://localhost/',
    'other://localhost',
    'http://localhost',
    'null',
  ])('from %s is answered 403, although an app origin is allowed', async (origin) => {
    expect(await upgrade([`Origin: ${origin}`])).toBe('403');
  });
});

test('with LIVE_FORWARDED_HEADER=forwarded the address is that of Forwarded, over several lines, and no other header', async () => {
  const spoofed = 'X-Forwarded-For: 198.51.100.66';
  expect(await addressOf([spoofed, 'Forwarded: for=198.51.100.9', 'Forwarded: for="203.0.113.7:4711"'])).toBe(
    '203.0.113.7',
  );
  expect(await addressOf([spoofed, 'Forwarded: for="[2001:db8::7]:51234";proto=https'])).toBe('2001:db8::7');
  expect(await addressOf([spoofed, 'Forwarded: for=203.0.113.7, for=_hidden'])).toBe('127.0.0.1');
  expect(await addressOf([spoofed])).toBe('127.0.0.1');
});
