import { afterAll, beforeAll, expect, test } from 'vitest';
import { allSentences } from './all-sentences.ts';
import { describeVerdict, runSentences } from './run-sentences.ts';
import { startBendingProxy } from './testing/bending-proxy.ts';
import type { Bend } from './testing/bending-proxy.ts';
import { openGatewayTarget } from './testing/open-gateway-target.ts';

let target: Awaited<ReturnType<typeof openGatewayTarget>>;

beforeAll(async () => {
  target = await openGatewayTarget();
});

afterAll(async () => {
  await target?.[Symbol.asyncDispose]();
});

type Message = Readonly<Record<string, unknown>>;

const without =
  (field: string) =>
  (message: Message): readonly object[] => [
    Object.fromEntries(Object.entries(message).filter(([name]) => name !== field)),
  ];

/** Replaces a type of message by what `bent` makes of it. */
const bending =
  (type: string, bent: (message: Message) => readonly object[]) =>
  (message: Message): readonly object[] =>
    message['type'] === type ? bent(message) : [message];

/** How a server is broken, and the sentence that has to notice. */
const broken: readonly (readonly [string, Bend, string])[] = [
  ['does not echo ids', { hear: without('id') }, 'plain: each id, a number or a text up to 64'],
  [
    'replies twice',
    { hear: bending('pong', (pong) => [pong, pong]) },
    'plain: each id, a number or a text up to 64',
  ],
  [
    'echoes ids as texts',
    { hear: bending('pong', (pong) => [{ ...pong, id: String(pong['id']) }]) },
    'plain: each id, a number or a text up to 64',
  ],
  [
    'calls every error internal',
    { hear: bending('error', (error) => [{ ...error, code: 'internal', temporary: true }]) },
    'plain: an event that does not exist is answered forbidden',
  ],
  [
    'calls a lasting error temporary',
    { hear: bending('error', (error) => [{ ...error, temporary: true }]) },
    'plain: what is not JSON or not an object',
  ],
  [
    'answers nothing to what is no message',
    { hear: bending('error', (error) => (error['code'] === 'bad-message' ? [] : [error])) },
    'plain: what is not JSON or not an object',
  ],
  [
    'chokes on fields that it does not know',
    { say: (text) => (text.includes('colour') ? ['{"type":"?"}'] : [text]) },
    'plain: fields that are not known are ignored',
  ],
  [
    'takes a message of any length',
    { say: (text) => [text.length > 4096 ? '{"type":"ping"}' : text] },
    'plain: a message of 4 KiB is heard',
  ],
  [
    'closes with a code of its own',
    { closeCode: (code) => (code === 4400 ? 4000 : code) },
    'plain: a binary message closes the connection with 4400',
  ],
  ['says 403 to everybody', { status: () => 403 }, 'without a session cookie the answer is 401'],
  [
    'does not say when to come back',
    { retryAfter: () => undefined },
    'while Directus is in trouble (503) the answer is 503 with Retry-After',
  ],
  [
    'lets any page in',
    { headers: (headers) => ({ ...headers, origin: 'https://live.example.org' }) },
    'an Origin that is not allowed is answered 403',
  ],
  [
    'says the position with strings',
    { hear: bending('position', (position) => [{ ...position, lat: String(position['lat']) }]) },
    'plain: a position has the IMEI',
  ],
  [
    'leaves 0 out',
    {
      hear: bending('position', (position) => [
        Object.fromEntries(Object.entries(position).filter(([, value]) => value !== 0)),
      ]),
    },
    'plain: a position has the IMEI',
  ],
  [
    'has the latitude where the longitude is',
    {
      hear: bending('position', (position) => [{ ...position, lat: position['lon'], lon: position['lat'] }]),
    },
    'plain: a position has the IMEI',
  ],
  [
    'forgets a device of the snapshot',
    {
      hear: bending('subscribed', (subscribed) => [
        {
          ...subscribed,
          snapshot: Array.isArray(subscribed['snapshot']) ? subscribed['snapshot'].slice(1) : [],
        },
      ]),
    },
    'plain: subscribed has the newest known position',
  ],
];

test.each(broken)('a server that %s does not pass', async (_, bend, says) => {
  await using proxy = await startBendingProxy(target.url, bend);
  const sentences = allSentences.filter((sentence) => sentence.says.startsWith(says));
  expect(sentences).toHaveLength(1);
  const bent = { ...target, url: proxy.url, answerMs: 1_500, refreshMs: 2_000 };
  const [verdict] = await runSentences(sentences, bent, () => undefined);
  expect(verdict?.result).toBe('failed');
});

test('the same server passes through a proxy that bends nothing', async () => {
  await using proxy = await startBendingProxy(target.url, {});
  const sentences = allSentences.filter(({ says }) =>
    broken.some(([, , noticing]) => says.startsWith(noticing)),
  );
  const verdicts = await runSentences(sentences, { ...target, url: proxy.url }, () => undefined);
  expect(verdicts.filter(({ result }) => result !== 'passed').map(describeVerdict)).toEqual([]);
});
