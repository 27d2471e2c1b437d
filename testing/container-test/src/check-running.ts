import assert from 'node:assert/strict';
import { docker } from './docker.ts';
import type { Stack } from './stack.ts';

/** Services run as non-root without capabilities, on a read-only file system, with only the expected native modules. */
export async function checkRunning(stack: Stack): Promise<void> {
  const services = [
    ...(await stack.containersOf('processor')).map(({ name }) => ({ name, libraries: 0 })),
    ...(await stack.containersOf('live-gateway')).map(({ name }) => ({ name, libraries: 1 })),
  ];
  assert.equal(services.length, 3, 'expected one processor and two gateways');
  for (const { name, libraries } of services) {
    const run = (...command: readonly string[]): Promise<string> => docker(['exec', name, ...command]);
    const firstProcess = (await run('cat', '/proc/1/cmdline')).split('\0');
    assert.match(firstProcess[0] ?? '', /(^|\/)node$/u, `${name}: process 1 is not node`);
    const status = await run('cat', '/proc/1/status');
    assert.match(status, /^Uid:\s+1000\s/mu, `${name} does not run as uid 1000`);
    assert.match(status, /^CapEff:\s+0+$/mu, `${name} has capabilities`);
    assert.match(status, /^NoNewPrivs:\s+1$/mu, `${name} may gain privileges`);
    const write = 'try { require("fs").writeFileSync("/app/x", ""); "written" } catch (error) { error.code }';
    assert.equal(await run('node', '-p', write), 'EROFS', `${name}: the file system is writable`);
    const found = await run('find', '/app', '-name', '*.node');
    assert.equal(
      found.split('\n').filter((file) => file !== '').length,
      libraries,
      `${name} has the native modules: ${found}`,
    );
  }
}
