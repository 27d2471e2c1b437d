import { flag, readArguments as read, string, wholeNumber } from '@app/runtime/read-arguments';
import { isUuid } from '@app/shared/topics';

export const usage = `usage: ./run conformance ws://HOST/PATH [options]
  --origin URL            Origin header to send (default: the server's own origin)
  --without-origin        the server accepts clients without an Origin header
  --event UUID            an event that the session may see. With a stream and a database it must have no devices:
                          the suite adds its own and removes them at the end
  --stream KEY            telemetry stream to publish on
  --refresh-ms N          the server's LIVE_DEVICE_EVENT_REFRESH_MS (default: 30000)
  --only TEXT             run only cases whose title contains TEXT
environment (kept out of the process list)
  LIVE_SESSION            session cookie of a viewer, name=value
  REDIS_URL POSTGRES_URL  to publish on the stream and to assign devices
Cases that need an option you did not give are reported as "not tested".`;

export interface ConformanceArguments {
  readonly url: string;
  readonly origin: string;
  readonly letsInWithoutOrigin: boolean;
  readonly session: string | undefined;
  readonly eventId: string | undefined;
  readonly stream: string | undefined;
  readonly redisUrl: string | undefined;
  readonly postgresUrl: string | undefined;
  readonly refreshMs: number;
  readonly only: string;
}

const options = {
  origin: string(),
  'without-origin': flag(),
  event: string(),
  stream: string(),
  'refresh-ms': wholeNumber(30_000, { from: 0 }),
  only: string(),
};

/** Undefined if help was asked for. @throws UsageError */
export function readArguments(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): ConformanceArguments | undefined {
  const session = env['LIVE_SESSION'];
  const asked = read(args, options, ({ event }, [address = '', ...more]) => {
    const problems: string[] = [];
    if (!['ws:', 'wss:'].includes(URL.parse(address)?.protocol ?? ''))
      problems.push('no ws:// or wss:// URL');
    if (more.length > 0) problems.push(`one server at a time, not also ${more.join(' ')}`);
    if (event !== undefined && !isUuid(event)) problems.push('--event must be a UUID in lower case');
    if (session !== undefined && !/^[^=;\s]+=[^;\s]+$/u.test(session)) {
      problems.push('LIVE_SESSION must be name=value');
    }
    return problems;
  });
  if (asked === undefined) return undefined;
  const { values } = asked;
  const url = new URL(asked.positionals[0] ?? '');
  return {
    url: url.href,
    origin: values.origin ?? `${url.protocol === 'wss:' ? 'https' : 'http'}://${url.host}`,
    letsInWithoutOrigin: values['without-origin'],
    session,
    eventId: values.event,
    stream: values.stream,
    redisUrl: env['REDIS_URL'],
    postgresUrl: env['POSTGRES_URL'],
    refreshMs: values['refresh-ms'],
    only: values.only ?? '',
  };
}
