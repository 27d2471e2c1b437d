import { equal, ok } from 'node:assert/strict';
import { connect } from '../peer.ts';
import type { Dialect, Peer } from '../peer.ts';
import { sentence } from '../sentence.ts';

export const endingSentences = [
  sentence(
    'a client that gives no sign of life is closed with 4003',
    ['session', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({ LIVE_WS_PING_INTERVAL_MS: '1000' });
      using mute = await connect(target, 'plain', target.session, { url: replica.url, autoPong: false });
      using answering = await connect(target, 'plain', target.session, { url: replica.url });
      equal((await mute.closed(target.answerMs + 10_000)).code, 4003);
      await answering.settle();
    },
    { covers: ['close 4003'], isPatient: true },
  ),
  sentence(
    'a user who opens too many connections loses the oldest, with 4403',
    ['session', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({ LIVE_MAX_CONNECTIONS_PER_USER: '2' });
      using stack = new DisposableStack();
      const peers: Peer<Dialect>[] = [];
      for (let count = 0; count < 3; count += 1) {
        peers.push(stack.use(await connect(target, 'plain', target.session, { url: replica.url })));
      }
      const [oldest, ...others] = peers;
      ok(oldest !== undefined, 'none');
      equal((await oldest.closed()).code, 4403);
      for (const other of others) await other.settle();
    },
    { covers: ['close 4403'] },
  ),
];
