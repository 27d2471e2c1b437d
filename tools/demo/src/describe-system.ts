import { existsSync, globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { resultsTopic } from '@app/shared/topics';
import type { Servers } from '@app/test-kit/servers';
import type { System } from './system.ts';

/** Shell commands to try while the demo runs. */
export async function describeSystem(system: System, servers: Servers, signal: AbortSignal): Promise<string> {
  const { directus, visitor, liveUrl, event, stream } = system;
  const [processorPort, gatewayPort] = await Promise.all(
    [system.processor, system.gateway].map((service) => service.readNumber('metricsPort', signal)),
  );
  const login = JSON.stringify({ email: visitor.email, password: visitor.password, mode: 'session' });
  const database = withoutPassword(system.databaseUrl, servers.postgresFrom);
  // Node's own WebSocket accepts headers. The demo's Node by its full path: the shell's may be older.
  const watch = (topic: string): string => {
    const subscribe = JSON.stringify({ type: 'subscribe', topic, id: 1 });
    const script = `const live = new WebSocket('${liveUrl}', { headers: { cookie: process.argv[1] } }); live.onopen = () => live.send('${subscribe}'); live.onmessage = ({ data }) => console.log(data)`;
    return `${process.execPath} -e "${script.replaceAll(/["$`\\]/g, String.raw`\$&`)}" "$cookie"`;
  };

  return `
Log in (or in a browser: ${directus.url}/admin/login, ${visitor.email}, ${visitor.password}):
  cookie=$(curl -si ${directus.url}/auth/login -H 'content-type: application/json' -d '${login}' | sed -n 's/^[Ss]et-[Cc]ookie: \\([^;]*\\);.*/\\1/p')
Watch the race, then its results:
  ${watch(event.topic)}
  ${watch(resultsTopic(event.id))}
Inspect (with psql, if it is installed):
  psql '${database}' -c 'select * from positions order by ts desc limit 5'
  psql '${database}' -c 'select place, number, crew, total_ms, gap_ms from classification join entries on entries.id = entry_id where stage_id is null order by list_order limit 5'
  psql '${database}' -c 'select number, rule, from_at, is_open from incidents join entries on entries.id = entry_id'
  ${findRedisCli(servers.redisFrom)} -u ${withoutPassword(system.redisUrl, servers.redisFrom)} xinfo groups ${stream}
  curl -s http://127.0.0.1:${processorPort}/metrics    # processor
  curl -s http://127.0.0.1:${gatewayPort}/metrics    # live-gateway
`;
}

/** The one beside the server that was started here, which may not be on the PATH. */
function findRedisCli(redisFrom: string): string {
  const folder = dirname(redisFrom);
  const beside = join(folder, 'redis-cli');
  if (existsSync(beside)) return beside;
  // What `./run` has fetched brings the libraries that this machine does not have.
  const fetched = join(folder, '../usr/bin/redis-cli');
  const [libraries] = globSync(join(folder, '../usr/lib/*-linux-gnu'));
  if (!existsSync(fetched)) return 'redis-cli';
  return libraries === undefined ? fetched : `LD_LIBRARY_PATH=${libraries} ${fetched}`;
}

/** Hides a password from the environment; that of a server started here is shown. */
function withoutPassword(address: string, from: string): string {
  if (from !== 'REDIS_URL' && from !== 'POSTGRES_URL') return address;
  const url = new URL(address);
  url.password = '';
  return url.href;
}
