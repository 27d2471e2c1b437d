import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findProgram } from './find-program.ts';
import { startOnFreePort } from './free-port.ts';
import { startSupervisor, type Supervisor } from './supervisor.ts';

/** A finished request; one that became a WebSocket is finished when that is closed. */
export interface ProxiedRequest {
  /** Sent to the client. */
  readonly status: number;
  /** Of each upstream that was tried, in order: `502` for one that could not be reached. */
  readonly upstreamStatuses: readonly number[];
}

export interface Nginx extends AsyncDisposable {
  readonly port: number;
  requests(): Promise<readonly ProxiedRequest[]>;
}

const howToGetNginx =
  'a test needs nginx on the PATH (Debian, Ubuntu: apt-get install nginx; on Debian ./run test fetches it)';

/** A real nginx in front of several WebSocket servers of this machine; it passes a request refused with 503 to the next. */
export async function startNginx(options: { readonly upstreamPorts: readonly number[] }): Promise<Nginx> {
  const file = await findProgram(['nginx'], {
    accepts: (output) => output.includes('nginx'),
    toolchain: 'nginx',
    versionFlag: '-v',
    // Debian installs it where only root's PATH looks.
    folders: ['/usr/sbin'],
  });
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

async function launch(
  supervisor: Supervisor,
  file: string,
  port: number,
  upstreamPorts: readonly number[],
): Promise<number> {
  const configFile = join(supervisor.folder, 'nginx.conf');
  await writeFile(configFile, configuration(supervisor.folder, port, upstreamPorts));
  await supervisor.runUntil(
    { file, args: ['-p', supervisor.folder, '-c', configFile, '-e', 'stderr'], endSignal: 'SIGTERM' },
    async () => (await fetch(`http://127.0.0.1:${port}/ready`)).ok,
  );
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
        location = /ready { access_log off; return 204; }
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
