import { connectPostgres, endPostgres } from '@app/runtime/postgres';
import type { Logger } from '@app/runtime/log';
import type postgres from 'postgres';
import { PostgresClient } from '@app/runtime/postgres-client';

/** The processor's client, connected as in `main.ts`. */
export interface TestClient extends AsyncDisposable {
  readonly client: PostgresClient;
  /** The number of connections opened, the first one included. */
  readonly connects: () => number;
}

export function openClient(
  url: string,
  log: Logger,
  options: { readonly deadlineMs?: number; readonly statementTimeoutMs?: number } = {},
): TestClient {
  const { deadlineMs = 5000, statementTimeoutMs = 4000 } = options;
  const opened: postgres.Sql[] = [];
  const client = new PostgresClient((link) => {
    const sql = connectPostgres(url, { name: 'writer', log, maxConnections: 3, statementTimeoutMs, link });
    opened.push(sql);
    return sql;
  }, deadlineMs);
  return {
    client,
    connects: () => opened.length,
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((sql) => endPostgres(sql, { timeoutMs: 0 })));
    },
  };
}
