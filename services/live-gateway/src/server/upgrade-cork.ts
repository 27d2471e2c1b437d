import { once } from 'node:events';
import { connect } from 'node:net';
import type { HttpResponse, us_listen_socket } from 'uWebSockets.js';
import type { loadUws } from './load-uws.ts';

/** Where responses are upgraded after an await. */
export interface UpgradeCork extends Disposable {
  /** Runs `upgrade`, a call of `response.upgrade`, at once. */
  run(upgrade: () => void): void;
}

/**
 * Upgrading inside the response's own `cork` after an await closes the new WebSocket now and then, right after its
 * `open` handler: where the socket's memory shrinks in place, `cork` does not notice the upgrade and reads the state of
 * a response from what is no longer one (uNetworking/uWebSockets#1928, fixed by #1929 in July 2026, not in 20.57).
 * Upgrading without any cork is sound but writes a warning to stderr each time.
 *
 * So it is done inside the cork of another response, one that stays open for good: to a request that this process sends
 * itself over loopback. That response is never upgraded, and the one that is writes past the cork.
 */
export async function openUpgradeCork(uws: Awaited<ReturnType<typeof loadUws>>): Promise<UpgradeCork> {
  let held: HttpResponse | undefined;
  const app = uws.App();
  const isHeld = new Promise<void>((resolve) => {
    app.any('/*', (response) => {
      response.onAborted(() => {
        held = undefined;
      });
      held = response;
      resolve();
    });
  });
  let listening: us_listen_socket | undefined;
  app.listen('127.0.0.1', 0, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
    if (socket !== false) listening = socket;
  });
  if (listening === undefined) throw new Error('cannot listen on a free port of 127.0.0.1');
  const request = connect(uws.us_socket_local_port(listening), '127.0.0.1');
  // If it breaks, upgrades go on without it, each with a warning.
  request.on('error', () => undefined);
  request.unref();
  await once(request, 'connect');
  request.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await isHeld;
  uws.us_listen_socket_close(listening);
  return {
    run: (upgrade) => {
      if (held === undefined) upgrade();
      else held.cork(upgrade);
    },
    [Symbol.dispose]() {
      request.destroy();
      app.close();
    },
  };
}
