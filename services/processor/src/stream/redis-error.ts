/**
 * `permanent`: only an operator can fix it (rights, a key of another type, a disabled command). `out_of_memory`: Redis is at
 * `maxmemory` and refuses commands that may need memory; reads, XACK and XDEL still work. `transient`: anything else.
 */
export type RedisErrorClass = 'permanent' | 'out_of_memory' | 'transient';

/** How long a permanent error is retried: a rotation of secrets or an ACL LOAD may be under way. */
export const permanentErrorLimitMs = 60_000;

const permanentCodes: ReadonlySet<string> = new Set([
  'NOPERM',
  'WRONGTYPE',
  'NOAUTH',
  'WRONGPASS',
  'UNKNOWN',
]);
const unknownCommand = /^ERR (?:unknown command|unknown subcommand|syntax error)/u;
/** What NOPERM is called within a script, by Redis 7.0 and by later versions. */
const deniedInScript = /^ERR (?:The user executing the script can't|ACL failure in script)/u;

/** Classifies an error of ioredis or of StreamConnection, also one of a command within MULTI or a script. */
export function classifyRedisError(error: unknown): RedisErrorClass {
  const codes = replyMessages(error).map(codeOf);
  if (codes.some((code) => permanentCodes.has(code))) return 'permanent';
  return codes.includes('OOM') ? 'out_of_memory' : 'transient';
}

/** The first word of Redis' error, such as `OOM` or `MISCONF`; undefined if Redis has not answered. */
export function redisErrorCode(error: unknown): string | undefined {
  const [message] = replyMessages(error);
  return message === undefined ? undefined : codeOf(message);
}

/** Ends retries once their errors have been permanent for `limitMs` without a break. */
export class PermanentErrorLimit {
  readonly #command: string;
  readonly #limitMs: number;
  readonly #now: () => number;
  #sinceMs: number | undefined;

  /** @param command what fails, for the error: `XACK telemetry:teltonika`. */
  constructor(command: string, limitMs = permanentErrorLimitMs, now: () => number = () => performance.now()) {
    this.#command = command;
    this.#limitMs = limitMs;
    this.#now = now;
  }

  /** Call at each error. Throws, with what to grant or change, once permanent errors have lasted too long. */
  check(error: unknown): void {
    if (classifyRedisError(error) !== 'permanent') {
      this.reset();
      return;
    }
    this.#sinceMs ??= this.#now();
    if (this.#now() - this.#sinceMs < this.#limitMs) return;
    throw new Error(`Redis refuses ${this.#command}: ${remedyOf(error)}`, { cause: error });
  }

  /** Call when the command succeeds. */
  reset(): void {
    this.#sinceMs = undefined;
  }
}

function remedyOf(error: unknown): string {
  const code = replyMessages(error)
    .map(codeOf)
    .find((each) => permanentCodes.has(each));
  switch (code) {
    case 'NOPERM':
      return 'the user of REDIS_URL lacks the right (NOPERM); grant it as deploy/redis/users.sh does, and run ACL LOAD';
    case 'WRONGTYPE':
      return 'the key holds another type (WRONGTYPE); rename or delete that key, or use another stream';
    case 'NOAUTH':
    case 'WRONGPASS':
      return `the login is not accepted (${code}); correct user and password in REDIS_URL`;
    default:
      return 'this Redis does not allow or know the command; use Redis 7 or newer with the rights of deploy/redis/users.sh';
  }
}

function codeOf(message: string): string {
  if (deniedInScript.test(message)) return 'NOPERM';
  if (unknownCommand.test(message)) return 'UNKNOWN';
  return message.split(' ', 1)[0] ?? '';
}

/** The error's message and, for a transaction that was discarded, those of the commands that were refused. */
function replyMessages(error: unknown): readonly string[] {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return [];
  const previous: unknown = 'previousErrors' in error ? error.previousErrors : undefined;
  return [error.message, ...(Array.isArray(previous) ? previous.flatMap(replyMessages) : [])];
}
