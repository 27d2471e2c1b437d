import { once } from 'node:events';
import { createServer } from 'node:http';
import { createPageServer } from '@app/live-client/testing/client-page';
import type { Fixture } from './open-fixture.ts';

export interface ClientPageServer extends AsyncDisposable {
  readonly origin: string;
}

/**
 * A site with a page that watches, as it stands before Directus in production: `/users/me` goes on to it, with the
 * browser's cookie, and `/auth/refresh` gives the browser the session that `renew` makes, if it makes one.
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
      const cookie = `directus_session_token=${session}; Path=/; HttpOnly; SameSite=Lax`;
      response.writeHead(
        session === undefined ? 401 : 200,
        session === undefined ? {} : { 'Set-Cookie': cookie },
      );
      response.end();
      return;
    }
    const cookie = request.headers.cookie ?? '';
    void fetch(`${fixture.directus.url}${request.url}`, { headers: { cookie } })
      .then((answer) => answer.status)
      .catch(() => 502)
      .then((status) => response.writeHead(status).end());
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address();
  if (address === null || typeof address === 'string') throw new Error('the page has no port');
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
