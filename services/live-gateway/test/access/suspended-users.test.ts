import { eventually } from '@app/test-kit/eventually';
import { expect, test } from 'vitest';
import { SuspendedUsers } from '../../src/access/suspended-users.ts';
import { SessionCookie } from '../../src/access/session-cookie.ts';
import type { Authenticate } from '../../src/access/authenticate.ts';

/** Accepts everybody; the user is the cookie's value. */
const accept: Authenticate = async ({ credential }) => ({
  kind: 'user',
  userId: String(credential.headers()['cookie']).replace('s=', ''),
});

test('users who connect while a statement runs share the next one', async () => {
  const statements: (readonly string[])[] = [];
  const answers: ((suspended: readonly string[]) => void)[] = [];
  const suspended = new SuspendedUsers({
    read: (userIds) => {
      statements.push(userIds);
      return new Promise((resolve) => answers.push(resolve));
    },
    onCheck: () => undefined,
  });
  const authenticate = suspended.wrapAuthenticate(accept);
  const admit = (userId: string) =>
    authenticate({ credential: new SessionCookie('s', userId), address: '198.51.100.7' });
  const first = admit('a');
  await eventually(() => answers[0]);
  const later = ['b', 'c', 'b'].map(admit);
  answers[0]?.([]);
  expect(await first).toEqual({ kind: 'user', userId: 'a' });
  const answer = await eventually(() => answers[1]);
  answer(['c']);
  expect(await Promise.all(later)).toEqual([
    { kind: 'user', userId: 'b' },
    { kind: 'nobody' },
    { kind: 'user', userId: 'b' },
  ]);
  expect(statements).toEqual([['a'], ['b', 'c']]);
});
