import type { IncomingMessage } from 'node:http';
import type { Accounts } from './directus-accounts.ts';
import { dataAnswer, invalidPayload, type DirectusAnswer } from './directus-answers.ts';

export const sessionCookieName = 'directus_session_token';

const sessionMs = 86_400_000;
const maxBodyBytes = 10_000;

/** `POST /auth/login` with `{"email", "password", "mode": "session"}`. */
export async function logIn(request: IncomingMessage, accounts: Accounts): Promise<DirectusAnswer> {
  const body = await readJson(request);
  if (typeof body !== 'object' || body === null) return invalidPayload('It is not a JSON object');
  const { email, password, mode }: { email?: unknown; password?: unknown; mode?: unknown } = body;
  if (typeof email !== 'string' || typeof password !== 'string') {
    return invalidPayload('"email" and "password" are required');
  }
  if (mode !== 'session') return invalidPayload('"mode" must be "session": the gateway accepts no other');
  return sessionAnswer(accounts.logIn(email, password));
}

/** `POST /auth/refresh` with `{"mode": "session"}` and the session's cookie. */
export async function refresh(
  request: IncomingMessage,
  session: string | undefined,
  accounts: Accounts,
): Promise<DirectusAnswer> {
  const body = await readJson(request);
  const { mode }: { mode?: unknown } = typeof body === 'object' && body !== null ? body : {};
  if (mode !== 'session') return invalidPayload('"mode" must be "session": the gateway accepts no other');
  return sessionAnswer(accounts.refreshSession(session));
}

function sessionAnswer(cookie: string | DirectusAnswer): DirectusAnswer {
  if (typeof cookie !== 'string') return cookie;
  return dataAnswer(
    { expires: sessionMs },
    {
      'Set-Cookie': `${sessionCookieName}=${cookie}; Max-Age=${sessionMs / 1000}; Path=/; HttpOnly; SameSite=Lax`,
    },
  );
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) return undefined;
    bytes += chunk.byteLength;
    if (bytes > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}

/** For a browser: cookies ignore the port, so the gateway on the same host gets this one. */
export const loginPage = `<!doctype html>
<html lang="en">
<title>Log in</title>
<form>
  <p><label>E-mail <input name="email" type="email" autocomplete="username" required></label></p>
  <p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
  <p><button>Log in</button> <output></output></p>
</form>
<script>
  const form = document.querySelector('form');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const response = await fetch('/auth/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...Object.fromEntries(new FormData(form)), mode: 'session' }),
    });
    const { errors } = await response.json();
    document.querySelector('output').textContent = errors ? errors[0].message : 'You are logged in.';
  });
</script>
</html>
`;
