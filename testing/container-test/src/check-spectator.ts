import { eventually } from '@app/test-kit/eventually';
import { docker } from './docker.ts';
import type { Stack } from './stack.ts';

const visibleTimeoutMs = 60_000;

/** The simulated race appears in the spectator's log: 50 entries, one of them with two trackers. */
export async function checkSpectator(stack: Stack): Promise<void> {
  await stack.up(['fleet-sim']);
  const { name } = await stack.containerOf('spectator');
  await eventually(
    async () => {
      const lines = (await docker(['logs', '--tail', '3', name])).split('\n');
      const isShown = /51 shown, 51 reporting/u.test(lines.at(-1) ?? '');
      if (!isShown) throw new Error(lines.join('\n'));
      return true;
    },
    { timeoutMs: visibleTimeoutMs, intervalMs: 500 },
  );
}
