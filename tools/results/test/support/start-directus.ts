import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { findFreePort } from '@app/test-kit/free-port';
import { z } from 'zod';

const row = z.record(z.string(), z.unknown());
type Row = z.infer<typeof row>;
const tableNames = ['events', 'devices', 'entries', 'entry_devices'] as const;
type TableName = (typeof tableNames)[number];

/** The items of a Directus that the import reads and writes with the token `token`, as `real-directus.e2e.test.ts` has found them to answer. */
export interface TestDirectus extends AsyncDisposable {
  readonly url: string;
  readonly tables: Record<TableName, Row[]>;
  /** Writes so far, as `POST entries 3`. */
  readonly writes: string[];
  /** Of which the connection breaks off before anything is written, while set. */
  failing: string | undefined;
}

export async function startDirectus(): Promise<TestDirectus> {
  const tables: Record<TableName, Row[]> = { events: [], devices: [], entries: [], entry_devices: [] };
  const server = createServer((request, response) => {
    respond(request, response).catch(() => response.destroy());
  });
  const port = await findFreePort();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const directus: TestDirectus = {
    url: `http://127.0.0.1:${port}`,
    tables,
    writes: [],
    failing: undefined,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET' } = request;
    const { pathname, searchParams } = new URL(request.url ?? '', directus.url);
    const [, , collection, id] = pathname.split('/');
    const name = tableNames.find((each) => each === collection);
    if (request.headers.authorization !== 'Bearer token') {
      return void response.writeHead(401).end(JSON.stringify(invalidCredentials));
    }
    if (name === undefined) return void response.writeHead(404).end();
    if (method === 'GET') {
      const found = tables[name].filter((each) => isSelected(each, tables, searchParams));
      const item = found.find((each) => each['id'] === id);
      if (id !== undefined && !item) return void response.writeHead(403).end(JSON.stringify(forbidden));
      const offset = Number(searchParams.get('offset'));
      const page = found.slice(offset, offset + Number(searchParams.get('limit')));
      return void response.end(JSON.stringify({ data: id === undefined ? page : item }));
    }
    const body = await json(request);
    if (directus.failing === `${method} ${name}`) return void response.destroy();
    directus.writes.push(`${method} ${name} ${Array.isArray(body) ? body.length : 'one'}`);
    if (method === 'DELETE') {
      const ids = z.array(z.string()).parse(body);
      tables[name] = tables[name].filter((each) => !ids.includes(String(each['id'])));
      return void response.writeHead(204).end();
    }
    const items = z.array(row).parse(body);
    if (method === 'POST') tables[name].push(...items);
    for (const item of method === 'PATCH' ? items : []) {
      const known = tables[name].find((each) => each['id'] === item['id']);
      if (known) Object.assign(known, item);
    }
    response.end(JSON.stringify({ data: items }));
  }

  return directus;
}

const invalidCredentials = {
  errors: [{ message: 'Invalid user credentials.', extensions: { code: 'INVALID_CREDENTIALS' } }],
};
const forbidden = {
  errors: [{ message: "You don't have permission to access this.", extensions: { code: 'FORBIDDEN' } }],
};

/** By `filter[event_id][_eq]` and `filter[entry_id][event_id][_eq]`. */
function isSelected(item: Row, { entries }: TestDirectus['tables'], query: URLSearchParams): boolean {
  const eventId = query.get('filter[event_id][_eq]');
  const eventIdOfEntry = query.get('filter[entry_id][event_id][_eq]');
  const entry = entries.find(({ id }) => id === item['entry_id']);
  return (
    (eventId === null || item['event_id'] === eventId) &&
    (eventIdOfEntry === null || entry?.['event_id'] === eventIdOfEntry)
  );
}
