import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { findFreePort } from '@app/test-kit/free-port';
import { z } from 'zod';

const row = z.record(z.string(), z.unknown());
type Row = Readonly<z.infer<typeof row>>;
const tableNames = ['policies', 'permissions', 'roles', 'access'] as const;
type TableName = (typeof tableNames)[number];

/** The system collections of a Directus that the set-up reads and adds to, as `real-directus.e2e.test.ts` found them. */
export interface TestDirectus extends AsyncDisposable {
  readonly url: string;
  readonly tables: Record<TableName, Row[]>;
  /** Names of the tables of the migrations, which are collections already. */
  shown: readonly string[];
  /** While set, its connection breaks off instead of adding such a row. */
  failingTable: TableName | undefined;
}

const file = new URL('../../../../deploy/directus/tables.json', import.meta.url);
const { tables: shown }: { tables: { table: string }[] } = JSON.parse(readFileSync(file, 'utf8'));
const shownTables = shown.map(({ table }) => table);

export async function startDirectus(): Promise<TestDirectus> {
  const tables: Record<TableName, Row[]> = { policies: [], permissions: [], roles: [], access: [] };
  const server = createServer((request, response) => {
    respond(request, response).catch(() => response.destroy());
  });
  const port = await findFreePort();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const directus: TestDirectus = {
    url: `http://127.0.0.1:${port}`,
    tables,
    shown: shownTables,
    failingTable: undefined,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '', directus.url);
    // No difference: the collections exist.
    if (pathname === '/schema/diff') return void response.writeHead(204).end();
    if (pathname === '/collections') {
      const found = directus.shown.map((collection) => ({ collection, meta: { collection } }));
      return void response.end(JSON.stringify({ data: found }));
    }
    const name = tableNames.find((each) => pathname === `/${each}`);
    if (name === undefined) return void response.writeHead(404).end();
    if (request.method === 'GET') {
      const found = tables[name].filter((each) => isSelected(each, searchParams));
      return void response.end(JSON.stringify({ data: found }));
    }
    if (directus.failingTable === name) return void response.destroy();
    const added = row.parse(await json(request));
    tables[name].push(added);
    response.end(JSON.stringify({ data: added }));
  }

  return directus;
}

/** By `filter[name][_eq]=value` and `filter[name][_null]=true`. */
function isSelected(values: Row, query: URLSearchParams): boolean {
  return [...query].every(([key, value]) => {
    const [, name, operator] = /^filter\[(\w+)\]\[(_eq|_null)\]$/u.exec(key) ?? [];
    if (name === undefined) return true;
    return operator === '_null' ? (values[name] ?? null) === null : values[name] === value;
  });
}
