import { readArguments as read, string } from '@app/runtime/read-arguments';

export const usage = `usage: ./run doctor [options]

Checks the whole set-up (Redis, streams, Postgres, Directus, rights, clocks) and says what to do about each
failed line. It only reads. With --event it explains whether somebody may watch that event, and why not.

  --event ID        id of the event
  --session FILE    of the visitor with this session cookie's value; - reads it from stdin
  --token FILE      of the visitor with this static token
  --email ADDRESS   of the user with this address, without their session: looked up in Postgres
  --origin ORIGIN   of a page from this origin, such as https://live.example.org
  --help

Settings are those of the services: REDIS_URL, POSTGRES_URL, REDIS_TELEMETRY_STREAM, DIRECTUS_BASE_URL and, for
an event, LIVE_ALLOWED_ORIGINS, LIVE_ANONYMOUS_PER_ADDRESS and LIVE_BEARER_TOKENS. Use an operator's logins in the URLs: a service may not read what is checked here.
Exit codes: 0 nothing failed, 1 something failed, 2 wrong usage, 78 missing or invalid setting.`;

export interface DoctorArguments {
  readonly eventId: string | undefined;
  readonly origin: string | undefined;
  readonly email: string | undefined;
  /** Path of a file with the value; `-` is stdin. */
  readonly sessionFile: string | undefined;
  readonly tokenFile: string | undefined;
}

const options = { event: string(), session: string(), token: string(), email: string(), origin: string() };

/** Returns undefined for `--help`. @throws UsageError with all problems. */
export function readArguments(args: readonly string[]): DoctorArguments | undefined {
  const asked = read(args, options, ({ event, session, token, email, origin }, positionals) => {
    const visitors = [session, token, email].filter((each) => each !== undefined);
    const problems = positionals.map((each) => `unexpected argument '${each}'`);
    if (visitors.length > 1) problems.push('--session, --token and --email exclude each other');
    if (event === undefined && (visitors.length > 0 || origin !== undefined)) {
      problems.push('--session, --token, --email and --origin need --event');
    }
    return problems;
  });
  if (asked === undefined) return undefined;
  const { event, session, token, email, origin } = asked.values;
  return { eventId: event, origin, email, sessionFile: session, tokenFile: token };
}
