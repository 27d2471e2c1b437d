/** The Directus stand-in of the test kit as a server, with one user who may see the seeded event. */
import { once } from 'node:events';
import { startDirectus } from '@app/test-kit/directus';
import { seededEventId } from '@app/fleet-sim/seed-sql';

const userId = '1c9a43c1-7f0a-4f7a-8b0d-6a1d0a5b7c11';

await using directus = await startDirectus({ port: 8055, host: '0.0.0.0' });
directus.addUser({ userId, email: setting('ADMIN_EMAIL'), password: setting('ADMIN_PASSWORD') });
directus.allow(userId, seededEventId);
console.log(`Directus stand-in listens at ${directus.url}`);
await once(process, 'SIGTERM');

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} must be set`);
  return value;
}
