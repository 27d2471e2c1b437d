import type { SeededRandom } from './seeded-random.ts';

/** An upgrade request with one to three mutations, some of which leave it valid. Some requests are incomplete. */
export function mutatedHandshake(
  random: SeededRandom,
  options: { readonly path: string; readonly origin: string; readonly cookie: string },
): Buffer {
  const lines: string[] = [
    `GET ${options.path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${random.bytes(16).toString('base64')}`,
    `Origin: ${options.origin}`,
    `Cookie: ${options.cookie}`,
  ];
  if (random.isTrue()) lines.push('Sec-WebSocket-Protocol: live.v1');
  for (let round = random.below(3); round >= 0; round -= 1) mutateLines(random, lines);
  const bytes = Buffer.from(`${lines.join(random.isTrue(0.97) ? '\r\n' : '\n')}\r\n\r\n`, 'latin1');
  if (random.isTrue(0.05)) bytes[random.below(bytes.length)] = random.below(256);
  if (random.isTrue(0.01)) return bytes.subarray(0, random.below(bytes.length - 2));
  return random.isTrue(0.01) ? random.bytes(1 + random.below(300)) : bytes;
}

function mutateLines(random: SeededRandom, lines: string[]): void {
  const at = random.below(lines.length);
  const line = lines[at] ?? '';
  switch (random.below(14)) {
    case 0:
      lines.splice(at, 1);
      break;
    case 1:
      lines.push(line);
      break;
    case 2:
      lines[at] = `${line}${'x'.repeat(random.of([100, 1_000, 5_000, 20_000]))}`;
      break;
    case 3:
      for (let count = random.of([10, 60, 200]); count > 0; count -= 1) lines.push(`X-${count}: ${count}`);
      break;
    case 4:
      lines[at] = line.replace(':', random.of(['', ' :', '::', ':\t', ':\0', '=']));
      break;
    case 5:
      lines[0] = `${random.of(['GET', 'POST', 'PUT', 'CONNECT', 'OPTIONS', 'get', '', 'G E T', 'PRI'])} ${random.of(['/ws-live', '/', '*', '//', '/ws-live?x=1', '/%00', '/../ws-live', 'http://x/ws-live', `/${'a'.repeat(3000)}`, ''])} ${random.of(['HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9.9', 'HTTP', ''])}`;
      break;
    case 6:
      lines.push(
        random.of([
          'Content-Length: 5',
          'Content-Length: -1',
          'Content-Length: 99999999999999999999',
          'Transfer-Encoding: chunked',
          'Content-Length: 3\r\nContent-Length: 4',
          'Expect: 100-continue',
        ]),
      );
      break;
    case 7:
      lines[at] = random.of([
        'Origin: null',
        'Origin: *',
        'Origin: ',
        'Cookie: ',
        'Cookie: ;;;===',
        'Cookie: directus_session_token=',
        `Cookie: ${'a=b; '.repeat(500)}`,
        'Upgrade: h2c',
        'Connection: close',
        'Connection: close\r\nConnection: Upgrade',
        'Sec-WebSocket-Version: 8',
        'Sec-WebSocket-Key: x',
      ]);
      break;
    case 8:
      lines.push(
        random.of([
          'X-Forwarded-For: 1.1.1.1, 2.2.2.2',
          'X-Forwarded-For: \u00ff',
          `X-Forwarded-For: ${'1.1.1.1,'.repeat(300)}`,
        ]),
      );
      break;
    case 9:
      lines.push(
        random.of([
          'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99',
          'Sec-WebSocket-Extensions: ,,,',
          'Sec-WebSocket-Protocol: a,b,c,,live.v1',
          'Sec-WebSocket-Protocol: LIVE.V1',
        ]),
      );
      break;
    case 10:
      lines[at] = ` ${line}`;
      break;
    case 11:
      lines.splice(1, 0, '');
      break;
    case 12:
      lines[at] = line.replaceAll(/[a-z]/gu, (letter) =>
        random.isTrue(0.1) ? String.fromCodePoint(random.below(256)) : letter,
      );
      break;
    default:
      lines.reverse();
  }
}
