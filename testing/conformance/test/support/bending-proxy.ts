import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';

/** How a server differs from the one behind it. */
export interface Bend {
  /** The frames that are sent in place of one of the server's. */
  readonly hear?: (message: Readonly<Record<string, unknown>>) => readonly object[];
  /** The frames that the server gets in place of one of the client's. */
  readonly say?: (text: string) => readonly string[];
  readonly closeCode?: (code: number) => number;
  /** Of a refused upgrade. */
  readonly status?: (status: number) => number;
  readonly retryAfter?: (value: string | undefined) => string | undefined;
  /** The headers of a request to upgrade as the server gets them. */
  readonly headers?: (headers: Record<string, string>) => Record<string, string>;
}

export interface BendingProxy extends AsyncDisposable {
  readonly url: string;
}

const passedOn = ['origin', 'cookie', 'authorization', 'x-secret'];

/** Stands before a real server and bends what it says: a server that breaks the protocol in one place. */
export async function startBendingProxy(serverUrl: string, bend: Bend): Promise<BendingProxy> {
  const http = createServer((_, response) => response.writeHead(426).end());
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has('live.v1') ? 'live.v1' : false),
  });
  const open = new Set<WebSocket>();

  http.on('upgrade', (request, socket, head) => {
    socket.on('error', () => undefined);
    const url = new URL(serverUrl);
    url.pathname = request.url ?? '/';
    const server = new WebSocket(url, protocolsOf(request), {
      headers: bend.headers?.(headersOf(request)) ?? headersOf(request),
      perMessageDeflate: false,
    });
    open.add(server);
    const early: string[] = [];
    const keepEarly = (data: WebSocket.RawData): unknown => early.push(textOf(data));
    server.on('message', keepEarly);
    server.on('error', () => socket.destroy());
    server.once('unexpected-response', (_, response) => {
      const status = bend.status?.(response.statusCode ?? 0) ?? response.statusCode ?? 0;
      const given = response.headers['retry-after'];
      const retryAfter = bend.retryAfter === undefined ? given : bend.retryAfter(given);
      const header = retryAfter === undefined ? '' : `Retry-After: ${retryAfter}\r\n`;
      socket.end(`HTTP/1.1 ${status} No\r\n${header}Content-Length: 0\r\nConnection: close\r\n\r\n`);
      response.resume();
    });
    server.once('open', () => {
      sockets.handleUpgrade(request, socket, head, (client) => {
        open.add(client);
        const hear = (text: string): void => {
          const message: Readonly<Record<string, unknown>> = JSON.parse(text);
          for (const bent of bend.hear?.(message) ?? [message]) client.send(JSON.stringify(bent));
        };
        server.off('message', keepEarly);
        for (const text of early) hear(text);
        server.on('message', (data) => hear(textOf(data)));
        client.on('message', (data, isBinary) => {
          if (isBinary) server.send(data);
          else for (const text of bend.say?.(textOf(data)) ?? [textOf(data)]) server.send(text);
        });
        server.once('close', (code) => end(client, bend.closeCode?.(code) ?? code));
        client.once('close', () => server.terminate());
      });
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    url: `ws://127.0.0.1:${address.port}${new URL(serverUrl).pathname}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.terminate();
      const closed = once(http, 'close');
      http.close();
      http.closeAllConnections();
      await closed;
    },
  };
}

/** 1005 and 1006 say that no code was seen: they cannot be sent. */
function end(client: WebSocket, code: number): void {
  if (code === 1005 || code === 1006) client.terminate();
  else client.close(code);
}

function headersOf(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    passedOn.flatMap((name) => {
      const value = request.headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
}

function protocolsOf(request: IncomingMessage): string[] {
  const offered = request.headers['sec-websocket-protocol'];
  return offered === undefined ? [] : offered.split(',').map((name) => name.trim());
}

function textOf(data: WebSocket.RawData): string {
  return Buffer.isBuffer(data) ? data.toString() : '';
}
