import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';
import { findProgram } from './find-program.ts';
import { startSupervisor } from './supervisor.ts';

/** The Chromium on the PATH, else the one that `./run test` fetches. */
export async function findChromium(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  return await findProgram(['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'], {
    // On Ubuntu the name can be a script that only suggests a snap.
    accepts: (output) => /^(?:Chromium|Google Chrome) /.test(output),
    toolchain: 'chromium',
    folders: ['/usr/bin'],
    env,
  });
}

const howToGetChromium =
  'a test needs chromium or google-chrome on the PATH (Debian: apt-get install chromium; ./run test fetches it)';

/**
 * A headless browser with a new profile, in a process that ends when this one does. In its first context
 * (`contexts()[0]`) only the front tab is visible, as for a person; pages of `newContext()` are all visible.
 */
export async function startChromium(): Promise<Browser> {
  const file = await findChromium();
  if (file === undefined) throw new Error(howToGetChromium);
  await using stack = new AsyncDisposableStack();
  const supervisor = stack.use(await startSupervisor());
  const profile = join(supervisor.folder, 'profile');
  const { value: endpoint } = await supervisor.runUntil(
    {
      file,
      // No requests to the internet.
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        // Neither a hidden tab nor a busy machine slows its timers.
        '--disable-background-timer-throttling',
        '--disable-renderer-backgrounding',
        '--remote-debugging-address=127.0.0.1',
        '--remote-debugging-port=0',
        `--user-data-dir=${profile}`,
        'about:blank',
      ],
      endSignal: 'SIGKILL',
    },
    async () => {
      const [port, path] = (await readFile(join(profile, 'DevToolsActivePort'), 'utf8')).split('\n');
      return path !== undefined && path !== '' && `ws://127.0.0.1:${port}${path}`;
    },
  );
  const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true });
  const running = stack.move();
  return Object.assign(browser, {
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      await running.disposeAsync();
    },
  });
}
