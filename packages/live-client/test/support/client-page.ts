import type { IncomingMessage, ServerResponse } from 'node:http';
import { eventually } from '@app/test-kit/eventually';
import type { Page } from 'playwright-core';
import type { ConnectOptions, LiveState } from '../../src/connect.ts';
import { bundleClient } from './bundle-client.ts';

/** A page that connects and records what it sees. */
const pageHtml = `<!doctype html>
<meta charset="utf-8">
<title>live client</title>
<link rel="icon" href="data:,">
<script type="module">
  import { connect } from '/client.js';
  import { openInflatingSocket } from '/inflate.js';
  const seen = { states: [], endings: [], problems: [], read: [], asked: [] };
  const ask = (path, method) => async (signal) => {
    const response = await fetch(path, { method, signal });
    seen.asked.push(path + ' ' + response.status);
    return response;
  };
  globalThis.watch = ({ inflates, ...options }) => {
    const live = connect({
      ...options,
      openSocket: inflates ? openInflatingSocket : undefined,
      checkSession: ask('/users/me', 'GET'),
      refreshSession: ask('/auth/refresh', 'POST'),
      onState: (state, ending) => { seen.states.push(state); if (ending) seen.endings.push(ending); },
      onProblem: (problem) => seen.problems.push(problem.code),
    });
    (async () => { for await (const change of live) seen.read.push(change); })();
    globalThis.live = live;
  };
  globalThis.look = () => ({
    ...seen,
    state: globalThis.live.state,
    held: Object.fromEntries([...globalThis.live.positions].map(([topic, held]) => [topic, [...held.values()]])),
  });
</script>`;

export interface Seen {
  readonly state: LiveState;
  readonly states: readonly LiveState[];
  readonly endings: readonly { readonly code?: number; readonly reason: string }[];
  readonly problems: readonly string[];
  /** Changes from the iterator. */
  readonly read: readonly {
    readonly positions: readonly { readonly deviceId: string; readonly ts: number }[];
    readonly removed: readonly string[];
  }[];
  /** Path and status of the session requests. */
  readonly asked: readonly string[];
  /** By topic. */
  readonly held: Readonly<
    Record<string, readonly { readonly deviceId: string; readonly lat: number; readonly ts: number }[]>
  >;
}

/** Serves the page and the bundled client; returns false for any other path. */
export async function createPageServer(): Promise<
  (request: IncomingMessage, response: ServerResponse) => boolean
> {
  const { code } = await bundleClient();
  const inflate = await bundleClient('inflate');
  return (request, response) => {
    const [type, body] =
      request.url === '/'
        ? ['text/html', pageHtml]
        : request.url === '/client.js'
          ? ['text/javascript', code]
          : request.url === '/inflate.js'
            ? ['text/javascript', inflate.code]
            : [];
    if (type === undefined) return false;
    response.writeHead(200, { 'Content-Type': type }).end(body);
    return true;
  };
}

/** Opens the page and connects. */
export async function watchInPage(
  page: Page,
  origin: string,
  options: Pick<ConnectOptions, 'url' | 'topics' | 'maxHz' | 'bbox'> & { readonly inflates?: boolean },
): Promise<void> {
  await page.goto(origin);
  await page.waitForFunction('globalThis.watch !== undefined');
  await page.evaluate(`globalThis.watch(${JSON.stringify(options)})`);
}

export async function look(page: Page): Promise<Seen> {
  return await page.evaluate('globalThis.look()');
}

/** Waits until the page shows exactly these fix times by device. */
export async function expectShown(
  page: Page,
  topic: string,
  wanted: Readonly<Record<string, number>>,
  timeoutMs = 10_000,
): Promise<void> {
  await eventually(
    async () => {
      const { held, state } = await look(page);
      const shown = Object.fromEntries((held[topic] ?? []).map(({ deviceId, ts }) => [deviceId, ts]));
      const want = JSON.stringify(sorted(wanted));
      const got = JSON.stringify(sorted(shown));
      if (want !== got) throw new Error(`${state}, shows ${got} instead of ${want}`);
      return true;
    },
    { timeoutMs },
  );
}

export async function expectState(page: Page, wanted: LiveState, timeoutMs = 10_000): Promise<void> {
  await eventually(
    async () => {
      const { state, states } = await look(page);
      if (state !== wanted) throw new Error(`${state} after ${states.join(' ')}, not ${wanted}`);
      return true;
    },
    { timeoutMs },
  );
}

function sorted(record: Readonly<Record<string, number>>): readonly (readonly [string, number])[] {
  return Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
