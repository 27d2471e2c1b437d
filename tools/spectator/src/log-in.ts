/** Login of a Directus user. */
export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/** Logs in to Directus and returns the session cookie as the value of a `Cookie` header. */
export async function logIn(directusUrl: string, { email, password }: Credentials): Promise<string> {
  const response = await fetch(`${directusUrl}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password, mode: 'session' }),
  });
  await response.body?.cancel();
  const [cookie] = response.headers.getSetCookie();
  if (!response.ok || cookie === undefined) throw new Error(`login was answered ${response.status}`);
  return cookie.split(';', 1)[0] ?? '';
}
