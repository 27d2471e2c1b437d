import { findFreePort } from '@app/test-kit/free-port';
import { expect, test } from 'vitest';
import { connectDirectus } from '../src/directus-api.ts';

test('a server that does not answer is named with the cause', async () => {
  const port = await findFreePort();
  const api = connectDirectus(`http://127.0.0.1:${port}`, 'token');
  await expect(api('GET', '/policies')).rejects.toThrow(
    `http://127.0.0.1:${port} does not answer (connect ECONNREFUSED 127.0.0.1:${port}); check DIRECTUS_BASE_URL`,
  );
});
