import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { BareMachine } from './support/bare-machine.ts';

const repository = fileURLToPath(new URL('../../../../', import.meta.url));
const script = readFileSync(`${repository}run`, 'utf8');
const pnpmVersion = /^pnpm_version=(.*)$/m.exec(script)?.[1];

/** A machine with this Node and a fake pnpm that records its calls and fails if a file `broken` exists. */
function machineWithPnpm(): BareMachine {
  const machine = new BareMachine();
  machine.program(
    'pnpm',
    `[ "$1" != --version ] || { echo ${pnpmVersion}; exit; }
echo "$@" >>"$ROOT/installs"
echo 'GET https://registry.internal.example/zod answered'
[ ! -e "$ROOT/broken" ] || { echo 'error: https://registry.internal.example/zod: 500' >&2; exit 1; }
mkdir -p node_modules packages/p/node_modules services/migrate/node_modules services/a/node_modules testing/b/node_modules tools/demo/node_modules`,
  );
  machine.write(
    'services/migrate/src/main.ts',
    'console.log(JSON.stringify({ pid: process.pid, args: process.argv.slice(2) }));\nprocess.exitCode = 7;\n',
  );
  return machine;
}

/** The same with a Redis that is too old and no package manager. */
function machineWithoutRedis(): BareMachine {
  const machine = machineWithPnpm();
  for (const name of ['redis-server', 'valkey-server']) {
    machine.program(name, 'echo "Redis server v=6.0.16 sha=00000000:0 malloc=libc bits=64"');
  }
  for (const name of ['apt-get', 'docker']) machine.program(name, 'exit 1');
  machine.write('tools/demo/src/main.ts', "console.log('demo');\n");
  return machine;
}

/** The same with a Redis, without browser, nginx and PgBouncer; `./run test` prints `tests`. */
function machineWithoutBrowser(): BareMachine {
  const machine = machineWithPnpm();
  machine.program('redis-server', 'echo "Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64"');
  for (const name of ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'apt-get']) {
    machine.program(name, 'echo "snap install chromium"; exit 1');
  }
  for (const name of ['nginx', 'pgbouncer']) machine.program(name, 'exit 1');
  machine.write('tools/repo/src/run-tests/main.ts', "console.log('tests');\n");
  return machine;
}

function installs(machine: BareMachine): number {
  return machine.has('installs') ? machine.read('installs').trim().split('\n').length : 0;
}

describe('./run', () => {
  test('refers to existing programs and the pnpm version of package.json', () => {
    const programs = script.match(/\S+\/src\/\S*main\.ts/g) ?? [];
    expect(programs).toContain('tools/repo/src/run-tests/main.ts');
    expect(programs.filter((program) => !existsSync(`${repository}${program}`))).toEqual([]);
    expect(readFileSync(`${repository}package.json`, 'utf8')).toContain(
      `"packageManager": "pnpm@${pnpmVersion}"`,
    );
  });

  test.for([[], ['help'], ['--help']])('lists its commands for %j and installs nothing', async (args) => {
    using machine = new BareMachine();
    const result = await machine.run(args);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toMatch(/^usage: .*\n(?: {2}\S+ +\S.*\n)+$/);
    expect(machine.has('.toolchain')).toBe(false);
  });

  test('refuses an unknown command on stderr with exit code 2', async () => {
    using machine = new BareMachine();
    const result = await machine.run(['dance']);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toContain("unknown command 'dance'");
    expect(result.stderr).toContain('usage: ./run <command>');
    expect(machine.has('.toolchain')).toBe(false);
  });

  test('points to Docker on other systems', async () => {
    using machine = new BareMachine();
    machine.program('uname', 'echo Darwin');
    const result = await machine.run(['migrate']);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('docker compose up');
  });

  test('execs the program with unchanged arguments and its exit code', async () => {
    using machine = machineWithPnpm();
    const result = await machine.run(['migrate', '--name', 'two words', '$HOME']);
    expect(result.code).toBe(7);
    expect(JSON.parse(result.stdout)).toEqual({ pid: result.pid, args: ['--name', 'two words', '$HOME'] });
  });

  test('installs once, and again when the lockfile changed or a node_modules folder is missing', async () => {
    using machine = machineWithPnpm();
    await machine.run(['migrate']);
    await machine.run(['migrate']);
    expect(installs(machine)).toBe(1);

    machine.write('pnpm-lock.yaml', 'changed\n');
    await machine.run(['migrate']);
    expect(installs(machine)).toBe(2);

    machine.remove('services/a/node_modules');
    await machine.run(['migrate']);
    expect(installs(machine)).toBe(3);

    machine.remove('node_modules');
    await machine.run(['migrate']);
    await machine.run(['migrate']);
    expect(installs(machine)).toBe(4);
  });

  test('fails with the reason when an installation fails, retries next time, and hides the registry name', async () => {
    using machine = machineWithPnpm();
    machine.write('broken', '');
    const failed = await machine.run(['migrate']);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain('error: https://registry/zod: 500');
    expect(failed.stderr).toContain('pnpm could not install the dependencies');
    expect(failed.stderr).not.toContain('registry.internal.example');

    machine.remove('broken');
    expect(await machine.run(['migrate'])).toMatchObject({ code: 7 });
    expect(installs(machine)).toBe(2);
  });

  test('two concurrent runs install once', async () => {
    using machine = machineWithPnpm();
    const results = await Promise.all([machine.run(['migrate']), machine.run(['migrate'])]);
    expect(results.map(({ code }) => code)).toEqual([7, 7]);
    expect(installs(machine)).toBe(1);
  });

  test('refuses a package with another checksum and removes it', async () => {
    using machine = machineWithPnpm();
    machine.program('node', 'exit 1'); // too old
    machine.program('npm', 'mkdir package && echo other >package/node && tar -czf node.tgz package');
    const result = await machine.run(['migrate']);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/node-linux-\w+@[\d.]+ has another checksum than expected/);
    expect(machine.has('.toolchain/tmp')).toBe(false);
    expect(installs(machine)).toBe(0);
  });

  test('fails when npm cannot fetch', async () => {
    using machine = machineWithPnpm();
    machine.program('node', 'exit 1');
    machine.program('npm', 'echo "https://registry.internal.example is down" >&2; exit 1');
    const result = await machine.run(['migrate']);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/npm could not fetch node-linux-\w+@[\d.]+/);
    expect(result.stderr).not.toContain('registry.internal.example');
  });

  describe('a command that needs Redis', () => {
    test('fails with instructions if Redis is too old and none can be installed', async () => {
      using machine = machineWithoutRedis();
      const result = await machine.run(['demo']);
      expect(result).toMatchObject({ code: 1, stdout: '' });
      expect(result.stderr).toContain('no Redis found: set REDIS_URL, install redis-server or valkey-server');
    });

    test('accepts REDIS_URL', async () => {
      using machine = machineWithoutRedis();
      const result = await machine.run(['demo'], { REDIS_URL: 'redis://127.0.0.1:6379' });
      expect(result).toMatchObject({ code: 0, stdout: 'demo\n' });
    });

    test('accepts a server of version 7, or a container engine', async () => {
      using machine = machineWithoutRedis();
      machine.program('docker', 'exit 0');
      expect(await machine.run(['demo'])).toMatchObject({ code: 0, stdout: 'demo\n' });
      machine.program('docker', 'exit 1');
      machine.program('valkey-server', 'echo "Valkey server v=8.1.1 sha=00000000:0 malloc=libc bits=64"');
      expect(await machine.run(['demo'])).toMatchObject({ code: 0, stdout: 'demo\n' });
    });

    test('fetches the packages of the server even if one of them is installed, but no installed library', async () => {
      using machine = machineWithoutRedis();
      machine.program(
        'apt-get',
        `case $1 in
  update) ;;
  install) for name in redis-server redis-tools libjemalloc2 libssl3; do echo "'http://mirror/$name.deb' \${name}_1_amd64.deb 9 SHA256:0"; done ;;
  download) shift; echo "$@" >"$ROOT/downloaded"; touch redis.deb ;;
esac`,
      );
      machine.program(
        'dpkg-query',
        'for name; do :; done; case $name in redis-tools | libssl3) printf installed; esac',
      );
      machine.program(
        'dpkg-deb',
        `mkdir -p "$3/usr/bin" && printf '#!/bin/sh\necho "Redis server v=7.0.15"' >"$3/usr/bin/redis-server"
chmod +x "$3/usr/bin/redis-server"`,
      );
      expect(await machine.run(['demo'])).toMatchObject({ code: 0, stdout: 'demo\n' });
      expect(new Set(machine.read('downloaded').trim().split(' '))).toEqual(
        new Set(['redis-server', 'redis-tools', 'libjemalloc2']),
      );
    });

    test('other commands do not need it', async () => {
      using machine = machineWithoutRedis();
      expect(await machine.run(['migrate'])).toMatchObject({ code: 7 });
    });
  });

  describe('a command that needs a browser, nginx and PgBouncer', () => {
    test('warns if they are missing and cannot be installed, and continues', async () => {
      using machine = machineWithoutBrowser();
      const result = await machine.run(['test']);
      expect(result).toMatchObject({ code: 0, stdout: 'tests\n' });
      expect(result.stderr).toContain('no Chromium found: browser tests will fail. Install chromium');
      expect(result.stderr).toContain(
        'no nginx found: the test of two gateways behind a proxy will fail. Install nginx',
      );
      expect(result.stderr).toContain(
        'no PgBouncer found: the tests behind a pooler will fail. Install pgbouncer',
      );
    });

    test('accepts installed ones', async () => {
      using machine = machineWithoutBrowser();
      machine.program('google-chrome', "echo 'Google Chrome 150.0.1'");
      machine.program('nginx', 'echo nginx version: nginx/1.26.3');
      machine.program('pgbouncer', 'echo PgBouncer 1.24.1');
      expect(await machine.run(['test'])).toMatchObject({
        code: 0,
        stdout: 'tests\n',
        stderr: expect.not.stringMatching(/Chromium|nginx|PgBouncer/),
      });
    });

    test('other commands do not need it', async () => {
      using machine = machineWithoutBrowser();
      machine.write('tools/demo/src/main.ts', "console.log('demo');\n");
      expect((await machine.run(['demo'])).stderr).not.toContain('Chromium');
    });
  });
});
