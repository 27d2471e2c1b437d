import { PostgresClient } from '@app/runtime/postgres-client';
import type postgres from 'postgres';
import { StatementRunner } from '../../src/store/statement-runner.ts';
import { FixWriter } from '../../src/store/write-fixes.ts';
import { observe, type Observed } from './observed.ts';
import { openClient } from './postgres-clients.ts';

export interface TestWriter extends Observed, AsyncDisposable {
  readonly writer: FixWriter;
  readonly runner: StatementRunner;
  readonly retries: () => number;
  /** The number of statements sent. */
  readonly statements: () => Promise<number | undefined>;
}

/** A writer on this client, with its log and metrics. */
export function writerOn(
  client: PostgresClient,
  options: { readonly permanentErrorLimitMs?: number } = {},
): Omit<TestWriter, keyof AsyncDisposable> {
  const seen = observe();
  const { metrics, log } = seen;
  let retries = 0;
  const onRetry = (): void => {
    retries += 1;
  };
  const runner = new StatementRunner({ ...options, postgres: client, metrics, log, onRetry });
  return {
    ...seen,
    runner,
    writer: new FixWriter({ statements: runner, concurrency: 3, metrics }),
    retries: () => retries,
    statements: () => seen.metric('processor_position_write_duration_seconds_count'),
  };
}

/** A writer with its connections, and how many were opened. */
export function openWriter(
  url: string,
  options: {
    readonly deadlineMs?: number;
    readonly statementTimeoutMs?: number;
    readonly permanentErrorLimitMs?: number;
  } = {},
): TestWriter & { readonly connects: () => number } {
  const connection = openClient(url, observe().log, options);
  return {
    ...writerOn(connection.client, options),
    connects: connection.connects,
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

/** A writer on a single connection of the test: the WebAssembly build has no second one. */
export function singleConnectionClient(sql: postgres.Sql): PostgresClient {
  return new PostgresClient(() => sql, 60_000);
}
