/** Replaces directus-setup: creates Directus' tables, which the stand-in itself does not need. */
import { createDirectusTables } from '@app/test-kit/directus-tables';
import postgres from 'postgres';

const {
  DB_HOST: host = '',
  DB_USER: user = '',
  DB_PASSWORD: pass = '',
  DB_DATABASE: database = '',
} = process.env;
const sql = postgres({ host, user, pass, database, max: 1, onnotice: () => undefined });
await createDirectusTables(sql);
await sql.end();
