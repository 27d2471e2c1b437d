import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Redis } from 'ioredis';
import { failed, note, ok, type Finding } from './finding.ts';

const script = fileURLToPath(new URL('../../../deploy/redis/users.sh', import.meta.url));
const howToGrant = 'Write the users anew with deploy/redis/users.sh, then ACL LOAD';

/** A user of `users.sh`, and its commands with a key that each must be allowed for. */
interface ShippedUser {
  readonly name: string;
  readonly rights: readonly { readonly command: string; readonly key: string }[];
}

/** Whether each Redis user of `users.sh` that exists may run the commands that the script grants. Asks by ACL DRYRUN. */
export async function checkRedisRights(
  redis: Redis,
  streams: readonly string[],
): Promise<readonly Finding[]> {
  const names = await redis.call('ACL', 'USERS').catch((error: unknown) => {
    if (error instanceof Error && error.message.startsWith('NOPERM')) return undefined;
    throw error;
  });
  if (!Array.isArray(names)) {
    return [note('users', 'the login in REDIS_URL may not read ACLs', 'Use the user `admin` of users.sh')];
  }
  const minArgs = parseMinArgs(await redis.call('COMMAND'));
  const usersOf = await Promise.all(streams.map(readShippedUsers));
  const findings: Finding[] = [];
  for (const { name } of usersOf[0] ?? []) {
    if (!names.includes(name)) {
      findings.push(
        note(`user ${name}`, 'does not exist', `${howToGrant}, or ignore this if it logs in as another user`),
      );
      continue;
    }
    const rights = usersOf.flatMap((users) => users.find((user) => user.name === name)?.rights ?? []);
    const missing = new Set<string>();
    for (const { command, key } of rights) {
      const [word = '', ...subcommand] = command.split('|');
      const keys = Array.from({ length: (minArgs.get(command) ?? 1) - 1 - subcommand.length }, () => key);
      const answer = await redis.call('ACL', 'DRYRUN', name, word, ...subcommand, ...keys);
      if (answer !== 'OK') missing.add(`${command} on ${key}`);
    }
    findings.push(
      missing.size === 0
        ? ok(`user ${name}`, `has its ${rights.length} rights`)
        : failed(`user ${name}`, `may not run ${[...missing].join(', ')}`, howToGrant),
    );
  }
  return findings;
}

async function readShippedUsers(stream: string): Promise<readonly ShippedUser[]> {
  const passwords = ['INGESTION_PASSWORD', 'PROCESSOR_PASSWORD', 'GATEWAY_PASSWORD'].map((name) => [
    name,
    'x',
  ]);
  const { stdout } = await promisify(execFile)('sh', [script], {
    env: { PATH: process.env['PATH'], STREAMS: stream, ...Object.fromEntries(passwords) },
  });
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('user ') && !line.startsWith('user default '))
    .map((line) => readUser(line, stream));
}

/** Rights in brackets are a selector with a key pattern of its own; the pattern here is the name of one stream. */
function readUser(line: string, stream: string): ShippedUser {
  const selectors = [...line.matchAll(/\(([^)]*)\)/gu)].map(([, rules = '']) => rules);
  const root = line.replaceAll(/\([^)]*\)/gu, '');
  const rights = [root, ...selectors].flatMap((rules) => {
    const key = /(?:^| )(?:%R?W?)?~(\S+)/u.exec(rules)?.[1] ?? stream;
    return [...rules.matchAll(/\+(\S+)/gu)].map(([, command = '']) => ({ command, key }));
  });
  return { name: line.split(' ')[1] ?? '', rights };
}

/** The minimum number of words of each command and subcommand, by the name that an ACL has for it. */
function parseMinArgs(reply: unknown): ReadonlyMap<string, number> {
  const minArgs = new Map<string, number>();
  const add = (commands: unknown): void => {
    for (const command of Array.isArray(commands) ? commands : []) {
      if (!Array.isArray(command)) continue;
      minArgs.set(String(command[0]), Math.abs(Number(command[1])));
      add(command[9]);
    }
  };
  add(reply);
  return minArgs;
}
