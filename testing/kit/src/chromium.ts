import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';
import { eventually } from './eventually.ts';
import { startSupervisor } from './supervisor.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The Chromium on the PATH, else the one that `./run test` brings; undefined if there is none that runs. */
export async function findChromium(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  const ownFolder = fileURLToPath(new URL('../../../.toolchain/chromium/bin', import.meta.url));
  const onPath = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of [...onPath, '/usr/bin', ownFolder]) {
    for (const name of names) {
      const file = join(folder, name);
      if (await isChromium(file)) return file;
    }
  }
  return undefined;
}

/** Where the browser can be got, for the one whose test fails for want of it. */
export const howToGetChromium =
  'a test needs a Chromium: put chromium or google-chrome on the PATH (Debian: apt-get install chromium; ' +
  './run test brings it there by itself)';

/**
 * A headless browser with a profile of its own, in a process that ends when this one does. In its first context
 * (`contexts()[0]`) pages are as a person has them: only the tab in front is visible. Those of `newContext()` all
 * believe that they are in front.
 */
export async function startChromium(): Promise<Browser> {
  const file = await findChromium();
  if (file === undefined) throw new Error(howToGetChromium);
  await using stack = new AsyncDisposableStack();
  const supervisor = stack.use(await startSupervisor());
  const profile = join(supervisor.folder, 'profile');
  const process = await supervisor.run({
    file,
    // Nothing here may look for the world outside: the only servers are the test's.
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // A tab behind another keeps its timers, and a machine that is busy is no reason to stop a page.
      '--disable-background-timer-throttling',
      '--disable-renderer-backgrounding',
      '--remote-debugging-address=127.0.0.1',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      'about:blank',
    ],
    endSignal: 'SIGKILL',
  });
  const endpoint = await eventually(
    async () => {
      const ended = process.ended();
      if (ended !== undefined) return ended;
      const [port, path] = (await readFile(join(profile, 'DevToolsActivePort'), 'utf8')).split('\n');
      return path !== undefined && path !== '' && `ws://127.0.0.1:${port}${path}`;
    },
    { timeoutMs: 30_000 },
  );
  if (typeof endpoint !== 'string')
    throw new Error(`${file} ended with ${endpoint.exit}:\n${endpoint.output}`);
  const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true });
  const running = stack.move();
  return Object.assign(browser, {
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      await running.disposeAsync();
    },
  });
}

async function isChromium(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    // By what it says: on Ubuntu the name can be a script that only asks for a snap.
    const { stdout } = await promisify(execFile)(file, ['--version'], { timeout: 10_000 });
    return /^(?:Chromium|Google Chrome) /.test(stdout);
  } catch {
    return false;
  }
}
