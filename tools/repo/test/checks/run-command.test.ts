import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { BareMachine } from '../../src/checks/bare-machine.ts';

const repository = fileURLToPath(new URL('../../../../', import.meta.url));
const script = readFileSync(`${repository}run`, 'utf8');
const pnpmVersion = /^pnpm_version=(.*)$/m.exec(script)?.[1];

/** A machine with this Node and a pnpm that writes down its calls, and fails where a file `broken` lies. */
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

/** The same, with a Redis that is too old and no way to get another. */
function machineWithoutRedis(): BareMachine {
  const machine = machineWithPnpm();
  for (const name of ['redis-server', 'valkey-server']) {
    machine.program(name, 'echo "Redis server v=6.0.16 sha=00000000:0 malloc=libc bits=64"');
  }
  for (const name of ['apt-get', 'docker']) machine.program(name, 'exit 1');
  machine.write('tools/demo/src/main.ts', "console.log('demo');\n");
  return machine;
}

/** The same, with a Redis and without a browser and an nginx; its tests say that they ran. */
function machineWithoutBrowser(): BareMachine {
  const machine = machineWithPnpm();
  machine.program('redis-server', 'echo "Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64"');
  for (const name of ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'apt-get']) {
    machine.program(name, 'echo "snap install chromium"; exit 1');
  }
  machine.program('nginx', 'exit 1');
  machine.write('tools/repo/src/run-tests/main.ts', "console.log('tests');\n");
  return machine;
}

function installs(machine: BareMachine): number {
  return machine.has('installs') ? machine.read('installs').trim().split('\n').length : 0;
}

describe('./run', () => {
  test('names programs that exist, and the pnpm of package.json', () => {
    const programs = script.match(/\S+\/src\/\S*main\.ts/g) ?? [];
    expect(programs).toContain('tools/repo/src/run-tests/main.ts');
    expect(programs.filter((program) => !existsSync(`${repository}${program}`))).toEqual([]);
    expect(readFileSync(`${repository}package.json`, 'utf8')).toContain(
      `"packageManager": "pnpm@${pnpmVersion}"`,
    );
  });

  test.for([[], ['help'], ['--help']])('lists its commands for %j and brings nothing', async (args) => {
    using machine = new BareMachine();
    const ending = await machine.run(args);
    expect(ending).toMatchObject({ code: 0, stderr: '' });
    expect(ending.stdout).toMatch(/^usage: .*\n(?: {2}\S+ +\S.*\n)+$/);
    expect(machine.has('.toolchain')).toBe(false);
  });

  test('refuses a command it does not know, on stderr, with exit code 2', async () => {
    using machine = new BareMachine();
    const ending = await machine.run(['dance']);
    expect(ending).toMatchObject({ code: 2, stdout: '' });
    expect(ending.stderr).toContain("there is no command 'dance'");
    expect(ending.stderr).toContain('usage: ./run <command>');
    expect(machine.has('.toolchain')).toBe(false);
  });

  test('says on another system that Docker is the way', async () => {
    using machine = new BareMachine();
    machine.program('uname', 'echo Darwin');
    const ending = await machine.run(['migrate']);
    expect(ending.code).toBe(1);
    expect(ending.stderr).toContain('docker compose up');
  });

  test('becomes the program: its process, its arguments as they are, its exit code', async () => {
    using machine = machineWithPnpm();
    const ending = await machine.run(['migrate', '--name', 'two words', '$HOME']);
    expect(ending.code).toBe(7);
    expect(JSON.parse(ending.stdout)).toEqual({ pid: ending.pid, args: ['--name', 'two words', '$HOME'] });
  });

  test('installs once, and again when the lock has changed or a folder of modules is gone', async () => {
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

  test('ends with the reason when an installation fails, tries again, and never names the registry', async () => {
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

  test('two at once install once', async () => {
    using machine = machineWithPnpm();
    const endings = await Promise.all([machine.run(['migrate']), machine.run(['migrate'])]);
    expect(endings.map(({ code }) => code)).toEqual([7, 7]);
    expect(installs(machine)).toBe(1);
  });

  test('refuses a package that is not the one whose sum it knows, and keeps nothing of it', async () => {
    using machine = machineWithPnpm();
    machine.program('node', 'exit 1'); // too old
    machine.program('npm', 'mkdir package && echo other >package/node && tar -czf node.tgz package');
    const ending = await machine.run(['migrate']);
    expect(ending.code).toBe(1);
    expect(ending.stderr).toMatch(/node-linux-\w+@[\d.]+ is not the package it was/);
    expect(machine.has('.toolchain/tmp')).toBe(false);
    expect(installs(machine)).toBe(0);
  });

  test('says so when npm cannot fetch', async () => {
    using machine = machineWithPnpm();
    machine.program('node', 'exit 1');
    machine.program('npm', 'echo "https://registry.internal.example is down" >&2; exit 1');
    const ending = await machine.run(['migrate']);
    expect(ending.code).toBe(1);
    expect(ending.stderr).toMatch(/npm could not fetch node-linux-\w+@[\d.]+/);
    expect(ending.stderr).not.toContain('registry.internal.example');
  });

  describe('where a command wants a Redis', () => {
    test('an old one and no way to get another end with how to get one', async () => {
      using machine = machineWithoutRedis();
      const ending = await machine.run(['demo']);
      expect(ending).toMatchObject({ code: 1, stdout: '' });
      expect(ending.stderr).toContain('no Redis: set REDIS_URL, or install redis-server or valkey-server');
    });

    test('REDIS_URL is enough', async () => {
      using machine = machineWithoutRedis();
      const ending = await machine.run(['demo'], { REDIS_URL: 'redis://127.0.0.1:6379' });
      expect(ending).toMatchObject({ code: 0, stdout: 'demo\n' });
    });

    test('a server of version 7 is enough, and so is an engine for containers', async () => {
      using machine = machineWithoutRedis();
      machine.program('docker', 'exit 0');
      expect(await machine.run(['demo'])).toMatchObject({ code: 0, stdout: 'demo\n' });
      machine.program('docker', 'exit 1');
      machine.program('valkey-server', 'echo "Valkey server v=8.1.1 sha=00000000:0 malloc=libc bits=64"');
      expect(await machine.run(['demo'])).toMatchObject({ code: 0, stdout: 'demo\n' });
    });

    test('a command that wants none does not look for it', async () => {
      using machine = machineWithoutRedis();
      expect(await machine.run(['migrate'])).toMatchObject({ code: 7 });
    });
  });

  describe('where a command wants a browser and an nginx', () => {
    test('none and no way to get one is said at once, and everything else still runs', async () => {
      using machine = machineWithoutBrowser();
      const ending = await machine.run(['test']);
      expect(ending).toMatchObject({ code: 0, stdout: 'tests\n' });
      expect(ending.stderr).toContain('no Chromium: the tests in a browser will fail. Install chromium');
      expect(ending.stderr).toContain(
        'no nginx: the test of two gateways behind one will fail. Install nginx',
      );
    });

    test('one that is installed is enough', async () => {
      using machine = machineWithoutBrowser();
      machine.program('google-chrome', "echo 'Google Chrome 150.0.1'");
      machine.program('nginx', 'echo nginx version: nginx/1.26.3');
      expect(await machine.run(['test'])).toMatchObject({
        code: 0,
        stdout: 'tests\n',
        stderr: expect.not.stringMatching(/Chromium|nginx/),
      });
    });

    test('a command that wants none does not look for it', async () => {
      using machine = machineWithoutBrowser();
      machine.write('tools/demo/src/main.ts', "console.log('demo');\n");
      expect((await machine.run(['demo'])).stderr).not.toContain('Chromium');
    });
  });
});
