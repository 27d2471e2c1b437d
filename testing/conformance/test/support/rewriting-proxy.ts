import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';

/** How the proxy changes what passes through it. */
export interface Rewrites {
  /** Replaces a frame of the server by these. */
  readonly serverMessage?: (message: Readonly<Record<string, unknown>>) => readonly object[];
  /** Sends a frame of the server as binary ones instead. */
  readonly binary?: (message: Readonly<Record<string, unknown>>) => readonly Uint8Array[] | undefined;
  /** Replaces a frame of the client by these. */
  readonly clientMessage?: (json: string) => readonly string[];
  readonly closeCode?: (code: number) => number;
  /** HTTP status of a refused upgrade. */
  readonly status?: (status: number) => number;
  readonly retryAfter?: (value: string | undefined) => string | undefined;
  /** Headers of an upgrade request. */
  readonly headers?: (headers: Record<string, string>) => Record<string, string>;
}

export interface RewritingProxy extends AsyncDisposable {
  readonly url: string;
}

const forwardedHeaders = ['origin', 'cookie', 'authorization', 'x-secret'];

/** A proxy in front of a real server that breaks the protocol in one place. */
export async function startRewritingProxy(serverUrl: string, rewrites: Rewrites): Promise<RewritingProxy> {
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
      headers: rewrites.headers?.(headersOf(request)) ?? headersOf(request),
      perMessageDeflate: false,
    });
    open.add(server);
    const early: string[] = [];
    const bufferEarly = (data: WebSocket.RawData): unknown => early.push(toString(data));
    server.on('message', bufferEarly);
    server.on('error', () => socket.destroy());
    server.once('unexpected-response', (_, response) => {
      const status = rewrites.status?.(response.statusCode ?? 0) ?? response.statusCode ?? 0;
      const original = response.headers['retry-after'];
      const retryAfter = rewrites.retryAfter === undefined ? original : rewrites.retryAfter(original);
      const header = retryAfter === undefined ? '' : `Retry-After: ${retryAfter}\r\n`;
      socket.end(`HTTP/1.1 ${status} No\r\n${header}Content-Length: 0\r\nConnection: close\r\n\r\n`);
      response.resume();
    });
    server.once('open', () => {
      sockets.handleUpgrade(request, socket, head, (client) => {
        open.add(client);
        const forward = (json: string): void => {
          const message: Readonly<Record<string, unknown>> = JSON.parse(json);
          const frames =
            rewrites.binary?.(message) ??
            (rewrites.serverMessage?.(message) ?? [message]).map((each) => JSON.stringify(each));
          for (const frame of frames) client.send(frame);
        };
        server.off('message', bufferEarly);
        for (const json of early) forward(json);
        server.on('message', (data) => forward(toString(data)));
        client.on('message', (data, isBinary) => {
          if (isBinary) server.send(data);
          else
            for (const json of rewrites.clientMessage?.(toString(data)) ?? [toString(data)])
              server.send(json);
        });
        server.once('close', (code) => closeWith(client, rewrites.closeCode?.(code) ?? code));
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

/** 1005 and 1006 mean that no code was received, and cannot be sent. */
function closeWith(client: WebSocket, code: number): void {
  if (code === 1005 || code === 1006) client.terminate();
  else client.close(code);
}

function headersOf(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    forwardedHeaders.flatMap((name) => {
      const value = request.headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
}

function protocolsOf(request: IncomingMessage): string[] {
  const offered = request.headers['sec-websocket-protocol'];
  return offered === undefined ? [] : offered.split(',').map((name) => name.trim());
}

function toString(data: WebSocket.RawData): string {
  return Buffer.isBuffer(data) ? data.toString() : '';
}
