import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from './eventually.ts';
import { startOnFreePort } from './free-port.ts';
import { startSupervisor, type Supervisor } from './supervisor.ts';

/** A request that nginx is done with; one that became a WebSocket is done when that is closed. */
export interface ProxiedRequest {
  /** What the client got. */
  readonly status: number;
  /** What each upstream that was tried has answered, in order: `502` for one that could not be reached. */
  readonly upstreamStatuses: readonly number[];
}

export interface Nginx extends AsyncDisposable {
  readonly port: number;
  requests(): Promise<readonly ProxiedRequest[]>;
}

const howToGetNginx =
  'a test needs an nginx: put one on the PATH (Debian, Ubuntu: apt-get install nginx; on Debian ./run test brings ' +
  'one where there is none)';

/**
 * A real nginx before several WebSocket servers of this machine, as an operator would set it up: it passes a request
 * that one refuses with a 503 on to the next.
 */
export async function startNginx(options: { readonly upstreamPorts: readonly number[] }): Promise<Nginx> {
  const file = await findNginx();
  if (file === undefined) throw new Error(howToGetNginx);
  await using stack = new AsyncDisposableStack();
  const supervisor = stack.use(await startSupervisor());
  const port = await startOnFreePort((freePort) => launch(supervisor, file, freePort, options.upstreamPorts));
  const running = stack.move();
  return {
    port,
    requests: async () => {
      const lines = (await readFile(join(supervisor.folder, 'access.log'), 'utf8')).trim().split('\n');
      return lines.filter((line) => line !== '').map(readRequest);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** On the PATH, where Debian puts it, or where `./run` may have put one. */
async function findNginx(): Promise<string | undefined> {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const ownFolder = fileURLToPath(new URL('../../../.toolchain/nginx/bin', import.meta.url));
  for (const folder of [...onPath, '/usr/sbin', ownFolder]) {
    const file = join(folder, 'nginx');
    try {
      await promisify(execFile)(file, ['-v'], { timeout: 5_000 });
      return file;
    } catch {
      // Not here, or it does not run here.
    }
  }
  return undefined;
}

async function launch(
  supervisor: Supervisor,
  file: string,
  port: number,
  upstreamPorts: readonly number[],
): Promise<number> {
  const configFile = join(supervisor.folder, 'nginx.conf');
  await writeFile(configFile, configuration(supervisor.folder, port, upstreamPorts));
  const server = await supervisor.run({
    file,
    args: ['-p', supervisor.folder, '-c', configFile, '-e', 'stderr'],
    endSignal: 'SIGTERM',
  });
  const outcome = await eventually(
    async () => {
      const end = server.ended();
      if (end?.output.includes('98: Address already in use') === true) return 'port taken';
      if (end !== undefined) return end.output;
      const response = await fetch(`http://127.0.0.1:${port}/nginx-is-here`);
      return response.ok ? 'ready' : undefined;
    },
    { timeoutMs: 10_000 },
  );
  if (outcome === 'port taken') throw new Error(`Port ${port} is already in use`);
  if (outcome !== 'ready') throw new Error(`nginx ended: ${outcome}`);
  return port;
}

function configuration(folder: string, port: number, upstreamPorts: readonly number[]): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
    daemon off;
    worker_processes 1;
    worker_rlimit_nofile 10000;
    pid ${folder}/nginx.pid;
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    events { worker_connections 9000; }
    http {
      ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n      ')}
      log_format outcome '$status $upstream_status';
      access_log ${folder}/access.log outcome;
      upstream gateways {
        ${upstreamPorts.map((upstream) => `server 127.0.0.1:${upstream};`).join('\n        ')}
      }
      server {
        listen 127.0.0.1:${port} backlog=4096;
        location = /nginx-is-here { access_log off; return 204; }
        location / {
          proxy_pass http://gateways;
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          proxy_next_upstream error timeout http_503;
          proxy_read_timeout 90s;
        }
      }
    }`;
}

/** `101 503, 101`, or `503 -` where no upstream was tried. */
function readRequest(line: string): ProxiedRequest {
  const [status = '', ...upstreams] = line.split(/[ ,:]+/u);
  return {
    status: Number(status),
    upstreamStatuses: upstreams.filter((text) => text !== '-' && text !== '').map(Number),
  };
}
