import { parseArgs } from 'node:util';
import { isUuid } from '@app/shared/topics';

export const usage = `usage: ./run conformance ws://HOST/PATH [options]
  --origin URL            the Origin to come with; unless given that of the server
  --without-origin        the server lets clients in that send none
  --event UUID            an event that the session may see; with a stream and a database one without devices:
                          the suite adds some of its own, and takes them away
  --stream KEY            the telemetry stream, to publish on
  --refresh-ms N          LIVE_DEVICE_EVENT_REFRESH_MS of the server, 30000 unless given
  --only TEXT             only sentences that contain this
environment, for what must not stand in a list of processes
  LIVE_SESSION            the session cookie of a viewer, name=value
  REDIS_URL POSTGRES_URL  to publish on the stream, and to assign devices
What cannot be tested without one of these is said to be "not tested".`;

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

/** What was asked for, or why it cannot be done. */
export function readArguments(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): ConformanceArguments | { readonly problem: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        origin: { type: 'string' },
        'without-origin': { type: 'boolean', default: false },
        event: { type: 'string' },
        stream: { type: 'string' },
        'refresh-ms': { type: 'string', default: '30000' },
        only: { type: 'string', default: '' },
      },
    });
    const [address, ...more] = positionals;
    const url = address === undefined ? null : URL.parse(address);
    if (url === null || !['ws:', 'wss:'].includes(url.protocol)) return { problem: 'no ws:// or wss:// URL' };
    if (more.length > 0) return { problem: `one server at a time, not also ${more.join(' ')}` };
    if (values.event !== undefined && !isUuid(values.event))
      return { problem: '--event is no UUID in lower case' };
    const session = env['LIVE_SESSION'];
    if (session !== undefined && !/^[^=;\s]+=[^;\s]+$/u.test(session)) {
      return { problem: 'LIVE_SESSION is not name=value' };
    }
    const refreshMs = Number(values['refresh-ms']);
    if (!Number.isInteger(refreshMs) || refreshMs < 0) return { problem: '--refresh-ms is no number' };
    return {
      url: url.href,
      origin: values.origin ?? `${url.protocol === 'wss:' ? 'https' : 'http'}://${url.host}`,
      letsInWithoutOrigin: values['without-origin'],
      session,
      eventId: values.event,
      stream: values.stream,
      redisUrl: env['REDIS_URL'],
      postgresUrl: env['POSTGRES_URL'],
      refreshMs,
      only: values.only,
    };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
