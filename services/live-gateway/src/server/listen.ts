import type { HttpRequest, HttpResponse, WebSocketBehavior, us_listen_socket } from 'uWebSockets.js';
import type { SocketData } from '../connection/socket-handlers.ts';
import { loadUws } from './load-uws.ts';
import { openUpgradeCork } from './upgrade-cork.ts';
import type { UpgradeCork } from './upgrade-cork.ts';

type Upgrade = NonNullable<WebSocketBehavior<SocketData>['upgrade']>;

export interface LiveServer extends Disposable {
  /** The configured port, or the one that the system chose for 0. */
  readonly port: number;
  /** Closes the port. Open connections stay; an upgrade over a kept-alive one is refused, since the gateway drains. */
  stopListening(): void;
}

/**
 * Listens for WebSocket clients on one path; other paths are a 404.
 * Rejects if the binding does not load or the port is in use.
 */
export async function listen(options: {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly maxHeaderBytes: number;
  readonly handlers: Omit<WebSocketBehavior<SocketData>, 'upgrade'>;
  readonly createUpgrade: (upgradeCork: UpgradeCork) => Upgrade;
  /** Answers POST on the path of the WebSocket; undefined: a 426 as for other methods. */
  readonly onPost?: ((response: HttpResponse, request: HttpRequest) => void) | undefined;
}): Promise<LiveServer> {
  const { host, port, path, handlers, createUpgrade } = options;
  const uws = await loadUws(options.maxHeaderBytes);
  const upgradeCork = await openUpgradeCork(uws);
  const app = uws.App();
  app.ws(path, { ...handlers, upgrade: createUpgrade(upgradeCork) });
  if (options.onPost !== undefined) app.post(path, options.onPost);
  app.any(path, (response) => answer(response, '426 Upgrade Required', 'WebSocket endpoint\n'));
  app.any('/*', (response) => answer(response, '404 Not Found', 'not found\n'));
  let socket: us_listen_socket | undefined;
  // Exclusive: otherwise a second process could listen on the same port and get half of the clients.
  app.listen(host, port, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (listening) => {
    if (listening !== false) socket = listening;
  });
  if (socket === undefined) throw new Error(`cannot listen on ${host}, port ${port}: is it in use?`);
  const listenSocket = socket;
  let isListening = true;
  function stopListening(): void {
    if (isListening) uws.us_listen_socket_close(listenSocket);
    isListening = false;
  }
  return {
    port: uws.us_socket_local_port(listenSocket),
    stopListening,
    [Symbol.dispose]() {
      stopListening();
      app.close();
      upgradeCork[Symbol.dispose]();
    },
  };
}

function answer(response: HttpResponse, status: string, body: string): void {
  response.writeStatus(status).writeHeader('Content-Type', 'text/plain; charset=utf-8').end(body);
}
