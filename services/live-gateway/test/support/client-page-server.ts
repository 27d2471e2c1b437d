import { once } from 'node:events';
import { createServer } from 'node:http';
import { createPageServer } from '@app/live-client/testing/client-page';
import type { Fixture } from './open-fixture.ts';

export interface ClientPageServer extends AsyncDisposable {
  readonly origin: string;
}

/**
 * Serves the client page in front of Directus, as a production site does: `/users/me` is proxied to Directus with the
 * browser's cookie; `/auth/refresh` sets the session returned by `renew`, or answers 401 if that is undefined.
 */
export async function startClientPage(
  fixture: Fixture,
  renew: () => string | undefined,
): Promise<ClientPageServer> {
  const servePage = await createPageServer();
  const http = createServer((request, response) => {
    if (servePage(request, response)) return;
    if (request.url === '/auth/refresh') {
      const session = renew();
      if (session === undefined) response.writeHead(401).end();
      else
        response
          .writeHead(200, {
            'Set-Cookie': `directus_session_token=${session}; Path=/; HttpOnly; SameSite=Lax`,
          })
          .end();
      return;
    }
    const cookie = request.headers.cookie ?? '';
    void fetch(`${fixture.directus.url}${request.url}`, { headers: { cookie } })
      .then((reply) => reply.status)
      .catch(() => 502)
      .then((status) => response.writeHead(status).end());
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address();
  if (address === null || typeof address === 'string') throw new Error('the page server has no port');
  return {
    origin: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      const closed = once(http, 'close');
      http.close();
      http.closeAllConnections();
      await closed;
    },
  };
}
