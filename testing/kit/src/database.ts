import { randomBytes } from 'node:crypto';
import postgres from 'postgres';

export interface TestDatabase {
  readonly name: string;
  readonly url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Creates a database; disposing drops it and closes its connections. */
export async function createDatabase(
  serverUrl: string,
  purpose: string,
  template = 'template1',
): Promise<TestDatabase> {
  const name = `live_tracking_${purpose}_${randomBytes(6).toString('hex')}`;
  await onServer(serverUrl, async (admin) => {
    // Takes 15 ms; the default strategy writes every page to the WAL.
    await admin.unsafe(`create database ${name} template ${template} strategy file_copy`);
  });
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    name,
    url: url.href,
    [Symbol.asyncDispose]: () =>
      onServer(serverUrl, async (admin) => {
        await admin`drop database if exists ${admin(name)} with (force)`;
      }),
  };
}

/** Runs `act` with a new connection to the database. */
export async function onServer(
  serverUrl: string,
  act: (admin: postgres.Sql) => Promise<void>,
): Promise<void> {
  const admin = postgres(serverUrl, { max: 1, onnotice: () => undefined });
  try {
    await act(admin);
  } finally {
    await admin.end();
  }
}
