import { once } from 'node:events';
import { connect } from 'node:net';
import type { HttpResponse, us_listen_socket } from 'uWebSockets.js';
import type { loadUws } from './load-uws.ts';

/** Upgrades responses after an await, inside the cork of another response. */
export interface UpgradeCork extends Disposable {
  /** Runs `upgrade`, which calls `response.upgrade`, synchronously. */
  run(upgrade: () => void): void;
}

/**
 * Upgrading inside the response's own `cork` after an await sometimes closes the new WebSocket right after its `open`
 * handler: if the socket's memory shrinks in place, `cork` does not notice the upgrade and reads the state of a response
 * that no longer exists (uNetworking/uWebSockets#1928, fixed by #1929, not in 20.57). Upgrading without a cork works but
 * writes a warning to stderr each time.
 *
 * Hence the cork of another response, which stays open: to a request that this process sends itself over loopback.
 */
export async function openUpgradeCork(uws: Awaited<ReturnType<typeof loadUws>>): Promise<UpgradeCork> {
  let openResponse: HttpResponse | undefined;
  const app = uws.App();
  const hasResponse = new Promise<void>((resolve) => {
    app.any('/*', (response) => {
      response.onAborted(() => {
        openResponse = undefined;
      });
      openResponse = response;
      resolve();
    });
  });
  let listening: us_listen_socket | undefined;
  app.listen('127.0.0.1', 0, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
    if (socket !== false) listening = socket;
  });
  if (listening === undefined) throw new Error('cannot listen on a free port of 127.0.0.1');
  const request = connect(uws.us_socket_local_port(listening), '127.0.0.1');
  // If this connection fails, upgrades continue without a cork, each with a warning.
  request.on('error', () => undefined);
  request.unref();
  await once(request, 'connect');
  request.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await hasResponse;
  uws.us_listen_socket_close(listening);
  return {
    run: (upgrade) => {
      if (openResponse === undefined) upgrade();
      else openResponse.cork(upgrade);
    },
    [Symbol.dispose]() {
      request.destroy();
      app.close();
    },
  };
}
