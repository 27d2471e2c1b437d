import type { Draw } from './draw.ts';

/**
 * A request to upgrade that is wrong in one place or in many; now and then in none. The end of some never comes: it was
 * cut off, or a line's end is broken.
 */
export function oddHandshake(
  draw: Draw,
  options: { readonly path: string; readonly origin: string; readonly cookie: string },
): Buffer {
  const lines: string[] = [
    `GET ${options.path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${draw.bytes(16).toString('base64')}`,
    `Origin: ${options.origin}`,
    `Cookie: ${options.cookie}`,
  ];
  if (draw.isTrue()) lines.push('Sec-WebSocket-Protocol: live.v1');
  for (let round = draw.below(3); round >= 0; round -= 1) mutateLines(draw, lines);
  const text = Buffer.from(`${lines.join(draw.isTrue(0.97) ? '\r\n' : '\n')}\r\n\r\n`, 'latin1');
  if (draw.isTrue(0.05)) text[draw.below(text.length)] = draw.below(256);
  if (draw.isTrue(0.01)) return text.subarray(0, draw.below(text.length - 2));
  return draw.isTrue(0.01) ? draw.bytes(1 + draw.below(300)) : text;
}

function mutateLines(draw: Draw, lines: string[]): void {
  const at = draw.below(lines.length);
  const line = lines[at] ?? '';
  switch (draw.below(14)) {
    case 0:
      lines.splice(at, 1);
      break;
    case 1:
      lines.push(line);
      break;
    case 2:
      lines[at] = `${line}${'x'.repeat(draw.of([100, 1_000, 5_000, 20_000]))}`;
      break;
    case 3:
      for (let count = draw.of([10, 60, 200]); count > 0; count -= 1) lines.push(`X-${count}: ${count}`);
      break;
    case 4:
      lines[at] = line.replace(':', draw.of(['', ' :', '::', ':\t', ':\0', '=']));
      break;
    case 5:
      lines[0] = `${draw.of(['GET', 'POST', 'PUT', 'CONNECT', 'OPTIONS', 'get', '', 'G E T', 'PRI'])} ${draw.of(['/ws-live', '/', '*', '//', '/ws-live?x=1', '/%00', '/../ws-live', 'http://x/ws-live', `/${'a'.repeat(3000)}`, ''])} ${draw.of(['HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9.9', 'HTTP', ''])}`;
      break;
    case 6:
      lines.push(
        draw.of([
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
      lines[at] = draw.of([
        'Origin: null',
        'Origin: *',
        'Origin: ',
        'Cookie: ',
        'Cookie: ;;;===',
        'Cookie: directus_session_token=',
        `Cookie: ${'a=b; '.repeat(500)}`,
        'Upgrade: h2c',
        'Connection: close',
        'Sec-WebSocket-Version: 8',
        'Sec-WebSocket-Key: x',
      ]);
      break;
    case 8:
      lines.push(
        draw.of([
          'X-Forwarded-For: 1.1.1.1, 2.2.2.2',
          'X-Forwarded-For: \u00ff',
          `X-Forwarded-For: ${'1.1.1.1,'.repeat(300)}`,
        ]),
      );
      break;
    case 9:
      lines.push(
        draw.of([
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
        draw.isTrue(0.1) ? String.fromCodePoint(draw.below(256)) : letter,
      );
      break;
    default:
      lines.reverse();
  }
}
