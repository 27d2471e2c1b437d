import assert from 'node:assert/strict';
import { docker } from './docker.ts';
import type { Stack } from './stack.ts';

/** What an attacker who got into a service would find: no rights, nothing to write to, one native library. */
export async function checkRunning(stack: Stack): Promise<void> {
  const services = [
    ...(await stack.containersOf('processor')).map(({ name }) => ({ name, libraries: 0 })),
    ...(await stack.containersOf('live-gateway')).map(({ name }) => ({ name, libraries: 1 })),
  ];
  assert.equal(services.length, 3, 'one processor and two gateways run');
  for (const { name, libraries } of services) {
    const run = (...command: readonly string[]): Promise<string> => docker(['exec', name, ...command]);
    const firstProcess = (await run('cat', '/proc/1/cmdline')).split('\0');
    assert.match(firstProcess[0] ?? '', /(^|\/)node$/u, `${name}: process 1 is node`);
    const status = await run('cat', '/proc/1/status');
    assert.match(status, /^Uid:\s+1000\s/mu, `${name} does not run as root`);
    assert.match(status, /^CapEff:\s+0+$/mu, `${name} has no capability`);
    assert.match(status, /^NoNewPrivs:\s+1$/mu, `${name} can gain none`);
    const write = 'try { require("fs").writeFileSync("/app/x", ""); "written" } catch (error) { error.code }';
    assert.equal(await run('node', '-p', write), 'EROFS', `${name}: the file system is read-only`);
    const found = await run('find', '/app', '-name', '*.node');
    assert.equal(found.split('\n').filter((file) => file !== '').length, libraries, `${name} has: ${found}`);
  }
}
