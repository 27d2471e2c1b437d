/** In the place of Directus' own set-up: the tables of which the stand-in itself has no need. */
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
