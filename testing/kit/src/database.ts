import { randomBytes } from 'node:crypto';
import postgres from 'postgres';

export interface TestDatabase {
  readonly name: string;
  readonly url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A database of its own on that server, dropped at the end, its connections with it. */
export async function createDatabase(
  serverUrl: string,
  purpose: string,
  template = 'template1',
): Promise<TestDatabase> {
  const name = `live_tracking_${purpose}_${randomBytes(6).toString('hex')}`;
  await onServer(serverUrl, async (admin) => {
    // Copying files takes 15 ms; the default writes every page to the log.
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

/** Runs `act` with a connection of its own to the database that the URL names. */
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
