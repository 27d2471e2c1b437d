import { isAllowedOrigin } from '@app/live-gateway/access/allowed-origins';
import { toIdentity } from '@app/live-gateway/access/authenticate';
import { toPermission } from '@app/live-gateway/access/authorize';
import { isUuid } from '@app/shared/topics';
import { askDirectus, describeAnswer, type Credentials } from './ask-directus.ts';
import { postgresIsDown, type Reading } from './connect.ts';
import { explainPolicies } from './event-policies.ts';
import { countOf, failed, note, ok, type Finding } from './finding.ts';
import type { DoctorConfig } from './settings.ts';

/** Whose subscription is explained: by a session or token, by address, or of a visitor without a login. */
export interface Visitor {
  readonly credentials: Credentials;
  readonly email: string | undefined;
}

const howToLogIn = 'Log in at Directus again';

/**
 * Checks what the gateway checks before it admits a visitor to an event, in its order.
 *
 * @param read undefined if Postgres does not answer.
 */
export async function explainRefusal(
  config: DoctorConfig,
  read: Reading | undefined,
  request: { readonly eventId: string; readonly origin: string | undefined; readonly visitor: Visitor },
): Promise<readonly Finding[]> {
  const { eventId, origin, visitor } = request;
  const isKnown = visitor.email === undefined && Object.keys(visitor.credentials).length > 0;
  const findings: Finding[] = origin === undefined ? [] : [checkOrigin(config, origin)];
  const account = isKnown
    ? await identify(config.DIRECTUS_BASE_URL, visitor.credentials)
    : visitor.email === undefined
      ? { finding: checkAnonymous(config) }
      : await findByEmail(read, visitor.email);
  if ('authorization' in visitor.credentials) findings.push(checkBearerTokens(config));
  findings.push(account.finding);
  if (account.userId !== undefined) findings.push(await checkStatus(read, account.userId));
  const event = await checkEvent(read, eventId);
  findings.push(event);
  if (event.level !== 'failed') {
    const permission =
      visitor.email === undefined
        ? await checkPermission(config.DIRECTUS_BASE_URL, visitor.credentials, eventId)
        : undefined;
    if (permission !== undefined) findings.push(permission);
    if (permission !== undefined || account.userId !== undefined) {
      const policies =
        read === undefined ? note('policies', postgresIsDown) : await explainPolicies(read, account.userId);
      // They explain a refusal; that Directus lets the visitor read the event is what counts.
      const isAllowed = permission?.level === 'ok';
      findings.push(isAllowed && policies.level === 'failed' ? note('policies', policies.found) : policies);
    }
  }
  return findings;
}

function checkOrigin({ LIVE_ALLOWED_ORIGINS: allowed }: DoctorConfig, origin: string): Finding {
  if (allowed === undefined)
    return note('origin', 'LIVE_ALLOWED_ORIGINS is not set here', 'Set it as for the gateway');
  if (isAllowedOrigin(origin, allowed)) return ok('origin', `${origin} is allowed`);
  return failed(
    'origin',
    `${origin} is not allowed: ${allowed.origins.join(', ')}`,
    'Add it to LIVE_ALLOWED_ORIGINS of the gateway, exactly as the browser sends it, and restart it',
  );
}

interface Account {
  readonly finding: Finding;
  readonly userId?: string;
}

async function identify(baseUrl: string, credentials: Credentials): Promise<Account> {
  const answer = await askDirectus(baseUrl, '/users/me?fields=id', credentials);
  const check = 'cookie' in credentials ? 'session' : 'token';
  if (!answer.answered) return { finding: failed(check, describeAnswer(answer), 'Start Directus') };
  const identity = toIdentity(answer);
  if (identity.kind === 'user')
    return { finding: ok(check, `of user ${identity.userId}`), userId: identity.userId };
  const reasons: Readonly<Record<string, string>> = {
    TOKEN_EXPIRED: 'the session has ended',
    INVALID_CREDENTIALS: 'unknown: the session was ended or replaced, or the value is incomplete',
    INVALID_TOKEN: 'signed with another SECRET than that of this Directus',
  };
  const found =
    answer.status === 200
      ? 'it has no user: the token of a shared link'
      : (reasons[answer.errorCode ?? ''] ?? describeAnswer(answer));
  return { finding: failed(check, found, howToLogIn) };
}

function checkAnonymous({ LIVE_ANONYMOUS_PER_ADDRESS: allowed }: DoctorConfig): Finding {
  const check = 'visitor';
  if (allowed === undefined) {
    return note(
      check,
      'without a login; LIVE_ANONYMOUS_PER_ADDRESS is not set here',
      'Set it as for the gateway, which refuses such visitors by default',
    );
  }
  return allowed > 0
    ? ok(check, `without a login, at most ${allowed} per address`)
    : failed(
        check,
        'without a login: the gateway refuses such visitors',
        'Set LIVE_ANONYMOUS_PER_ADDRESS of the gateway, or log in',
      );
}

function checkBearerTokens({ LIVE_BEARER_TOKENS: accepted }: DoctorConfig): Finding {
  const check = 'bearer tokens';
  if (accepted === undefined) {
    return note(
      check,
      'LIVE_BEARER_TOKENS is not set here',
      'Set it as for the gateway, which refuses tokens by default',
    );
  }
  return accepted === 'on'
    ? ok(check, 'are accepted')
    : failed(check, 'the gateway refuses tokens', 'Set LIVE_BEARER_TOKENS=on of the gateway');
}

async function findByEmail(read: Reading | undefined, email: string): Promise<Account> {
  if (read === undefined) return { finding: note('user', postgresIsDown) };
  const [user] = await read(
    (sql) => sql<{ id: string }[]>`select id::text from directus_users where lower(email) = lower(${email})`,
  );
  return user === undefined
    ? { finding: failed('user', `no user has the address ${email}`, 'Invite the user in Directus') }
    : { finding: ok('user', user.id), userId: user.id };
}

/** Directus itself accepts the session of a suspended user until it ends. */
async function checkStatus(read: Reading | undefined, userId: string): Promise<Finding> {
  if (read === undefined) return note('status', postgresIsDown);
  const [user] = await read(
    (sql) => sql<{ status: string }[]>`select status from directus_users where id::text = ${userId}`,
  );
  if (user === undefined)
    return failed('status', 'the user is not in the database at POSTGRES_URL', 'Compare both settings');
  return user.status === 'active'
    ? ok('status', 'active')
    : failed(
        'status',
        `${user.status}: the gateway admits active users only`,
        'Set the status of the user in Directus',
      );
}

async function checkEvent(read: Reading | undefined, eventId: string): Promise<Finding> {
  if (!isUuid(eventId)) {
    return failed(
      'event',
      `${JSON.stringify(eventId)} is not a UUID in lower case`,
      'Use events.id as Directus shows it',
    );
  }
  if (read === undefined) return note('event', postgresIsDown);
  const [event] = await read(
    (sql) => sql<{ devices: number }[]>`
      select (select count(distinct device_id) from entries
                join entry_devices on entry_id = entries.id where event_id = events.id)::int as devices
        from events where events.id::text = ${eventId}`,
  );
  if (event === undefined) return failed('event', 'does not exist', 'Use an id of the collection events');
  return event.devices > 0
    ? ok('event', `exists, with ${countOf(event.devices, 'device')}`)
    : note(
        'event',
        'exists, without devices',
        'Assign devices to its entries: otherwise there is nothing to see',
      );
}

async function checkPermission(baseUrl: string, credentials: Credentials, eventId: string): Promise<Finding> {
  const check = 'permission';
  const answer = await askDirectus(baseUrl, `/items/events/${eventId}?fields=id`, credentials);
  if (!answer.answered) return failed(check, describeAnswer(answer), 'Start Directus');
  const permission = toPermission(answer, eventId);
  switch (permission.kind) {
    case 'allowed':
      return ok(check, 'Directus lets the visitor read the event');
    case 'session-ended':
      return failed(check, describeAnswer(answer), howToLogIn);
    case 'forbidden':
      return failed(
        check,
        `Directus does not let the visitor read the event (${describeAnswer(answer)})`,
        permission.isRestricted
          ? 'Enter a licence of Directus 12'
          : 'Change the policies below (deploy/directus/README.md)',
      );
    case 'unavailable':
      break;
  }
  return failed(check, describeAnswer(answer), 'docs/operations.md#livedirectusfails');
}
