import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';

/** What a connection URL says, for the options of a driver. */
export interface PostgresTarget {
  readonly host: string;
  readonly port: number;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  /** Options of `tls.connect`; false for no TLS. */
  readonly tls: ConnectionOptions | false;
  /** TLS from the first byte, without asking the server. */
  readonly isTlsDirect: boolean;
  readonly connectTimeoutS?: number;
  readonly applicationName?: string;
  /** Server settings, as `-c name=value`. */
  readonly options?: string;
}

export interface UrlProblem {
  /** Completes "POSTGRES_URL …"; contains no value of the URL. */
  readonly problem: string;
}

const supported = [
  'application_name',
  'channel_binding',
  'connect_timeout',
  'gssencmode',
  'options',
  'sslmode',
  'sslnegotiation',
  'sslrootcert',
  'target_session_attrs',
] as const;
type Parameters = Readonly<Partial<Record<(typeof supported)[number], string>>>;

const maxConnectTimeoutS = 60;

class Refusal extends Error {}

/**
 * Reads a connection URL with the parameters of libpq. What the drivers cannot do, or would silently pass to the server,
 * is a problem. Reads the file of `sslrootcert`.
 */
export function readPostgresUrl(value: string): PostgresTarget | UrlProblem {
  try {
    return readTarget(value);
  } catch (error) {
    if (error instanceof Refusal) return { problem: error.message };
    throw error;
  }
}

function readTarget(value: string): PostgresTarget {
  const authority = /^postgres(?:ql)?:\/\/([^/?#]*)/u.exec(value)?.[1];
  if (authority?.slice(authority.lastIndexOf('@') + 1).includes(',')) {
    throw new Refusal(
      'names several hosts, and only one is supported; use a name or a proxy that follows the primary',
    );
  }
  if (authority === undefined || !URL.canParse(value)) {
    throw new Refusal('must be a URL that starts with postgres:// or postgresql://');
  }
  const url = new URL(value);
  // The brackets of an IPv6 address.
  const host = url.hostname.replace(/^\[|\]$/gu, '');
  if (host === '') throw new Refusal('names no host');
  const parameters = readParameters(url.search.slice(1));
  const { application_name: applicationName, options } = parameters;
  const connectTimeoutS = readConnectTimeout(parameters.connect_timeout);
  checkWithoutEffect(parameters);
  return {
    host,
    port: url.port === '' ? 5432 : Number(url.port),
    ...(url.username !== '' && { user: decode(url.username) }),
    ...(url.password !== '' && { password: decode(url.password) }),
    ...(url.pathname.length > 1 && { database: decode(url.pathname.slice(1)) }),
    tls: readTls(parameters, host),
    isTlsDirect: readIsTlsDirect(parameters),
    ...(connectTimeoutS !== undefined && { connectTimeoutS }),
    ...(applicationName !== undefined && { applicationName }),
    ...(options !== undefined && { options }),
  };
}

function readParameters(query: string): Parameters {
  const parameters: Partial<Record<string, string>> = {};
  for (const pair of query.split('&').filter((each) => each !== '')) {
    const [name = '', ...rest] = pair.split('=');
    if (!supported.some((each) => each === name)) {
      // What is no name may be a part of a password.
      const shown = /^[a-z_]{1,40}$/iu.test(name) ? `the parameter ${name}` : 'a parameter';
      throw new Refusal(
        `has ${shown}, which is not supported; supported are ${supported.join(', ')}. Server settings go into options=-c%20name%3Dvalue`,
      );
    }
    if (name in parameters) throw new Refusal(`has the parameter ${name} twice`);
    parameters[name] = decode(rest.join('='));
  }
  return parameters;
}

/** As libpq has it, except that nothing may fall back to a connection without TLS. */
function readTls(parameters: Parameters, host: string): ConnectionOptions | false {
  const { sslrootcert } = parameters;
  const mode = parameters.sslmode ?? (sslrootcert === 'system' ? 'verify-full' : 'disable');
  if (mode === 'allow' || mode === 'prefer') {
    throw new Refusal(
      `has sslmode=${mode}, which may connect without TLS; use require, verify-full or, to do without TLS, disable`,
    );
  }
  if (sslrootcert === 'system' && mode !== 'verify-full') {
    throw new Refusal('has sslrootcert=system, which needs sslmode=verify-full');
  }
  switch (mode) {
    case 'disable':
      if (sslrootcert !== undefined) {
        throw new Refusal('has sslrootcert without TLS; add sslmode=verify-full');
      }
      return false;
    case 'require':
      // The host's name is set since the drivers would compare the certificate with `localhost` for an address.
      return sslrootcert === undefined
        ? { host, rejectUnauthorized: false }
        : { host, ca: readCertificates(sslrootcert), checkServerIdentity: acceptAnyName };
    case 'verify-ca':
      if (sslrootcert === undefined) {
        throw new Refusal(
          'has sslmode=verify-ca without sslrootcert, which would accept any public certificate; use verify-full',
        );
      }
      return { host, ca: readCertificates(sslrootcert), checkServerIdentity: acceptAnyName };
    case 'verify-full':
      return sslrootcert === undefined || sslrootcert === 'system'
        ? { host }
        : { host, ca: readCertificates(sslrootcert) };
    default:
      throw new Refusal('has an unknown sslmode; it must be disable, require, verify-ca or verify-full');
  }
}

function readIsTlsDirect({ sslnegotiation = 'postgres', sslmode, sslrootcert }: Parameters): boolean {
  if (sslnegotiation === 'postgres') return false;
  if (sslnegotiation !== 'direct')
    throw new Refusal('has an unknown sslnegotiation; it must be postgres or direct');
  if ((sslmode ?? 'disable') === 'disable' && sslrootcert !== 'system') {
    throw new Refusal('has sslnegotiation=direct, which needs sslmode=require, verify-ca or verify-full');
  }
  return true;
}

function readCertificates(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new Refusal(`has an sslrootcert that cannot be read (${code}); check the path and its permissions`);
  }
}

function acceptAnyName(): undefined {
  return undefined;
}

function readConnectTimeout(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^\d{1,3}$/u.test(value) ? Number(value) : 0;
  if (seconds < 1 || seconds > maxConnectTimeoutS) {
    throw new Refusal(`has a connect_timeout that is not from 1 to ${maxConnectTimeoutS} seconds`);
  }
  return seconds;
}

/** Parameters of which only the values are understood that ask for nothing. */
function checkWithoutEffect(parameters: Parameters): void {
  const { channel_binding = 'prefer', gssencmode = 'prefer', target_session_attrs = 'any' } = parameters;
  if (!['prefer', 'disable'].includes(channel_binding)) {
    throw new Refusal(
      'has a channel_binding other than prefer and disable, which is not supported; remove it and use sslmode=verify-full, which proves the server as well',
    );
  }
  if (!['prefer', 'disable'].includes(gssencmode)) {
    throw new Refusal('has a gssencmode other than prefer and disable, which is not supported; use sslmode');
  }
  if (target_session_attrs !== 'any') {
    throw new Refusal(
      'has target_session_attrs, which chooses between several hosts, and only one is supported; remove it',
    );
  }
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw new Refusal('has a % that starts no percent-encoded character; write %25 for it');
  }
}
