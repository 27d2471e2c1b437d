/** The same URL with another login. */
export function asRole(postgresUrl: string, name: string, password: string): string {
  const url = new URL(postgresUrl);
  url.username = name;
  url.password = password;
  return url.href;
}
