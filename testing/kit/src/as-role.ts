/** The same server and database, as somebody else. */
export function asRole(postgresUrl: string, name: string, password: string): string {
  const url = new URL(postgresUrl);
  url.username = name;
  url.password = password;
  return url.href;
}
