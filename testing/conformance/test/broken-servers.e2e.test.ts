import { afterAll, beforeAll, expect, test } from 'vitest';
import { allSentences } from '../src/all-sentences.ts';
import { describeVerdict, runSentences } from '../src/run-sentences.ts';
import { startBendingProxy } from './support/bending-proxy.ts';
import type { Bend } from './support/bending-proxy.ts';
import { openGatewayTarget } from './support/open-gateway-target.ts';

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

function rowsOf(message: Message): readonly (readonly unknown[])[] {
  return Array.isArray(message['rows']) ? message['rows'] : [];
}

function swapped([id, lon, lat, ...rest]: readonly unknown[]): readonly unknown[] {
  return [id, lat, lon, ...rest];
}

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
  [
    'greets nobody',
    { hear: bending('hello', () => []) },
    'the first message of the batched dialect is hello',
  ],
  [
    'has its columns in another order',
    { hear: bending('hello', (hello) => [{ ...hello, columns: ['deviceId', 'lat', 'lon'] }]) },
    'the first message of the batched dialect is hello',
  ],
  [
    'has the latitude first in its rows',
    { hear: bending('positions', (message) => [{ ...message, rows: rowsOf(message).map(swapped) }]) },
    'batched: a row is devices.id, lon, lat, ts',
  ],
  [
    'says that it has recovered what it has not',
    { hear: bending('subscribed', (message) => [{ ...message, recovered: true }]) },
    'batched: a resume with another epoch',
  ],
  [
    'recovers nobody',
    { say: (text) => [text.replace(/"epoch":"[^"]*"/u, '"epoch":"x"')] },
    'batched: a resume that says recovered',
  ],
  [
    'does not end its snapshots',
    { hear: bending('snapshot', without('last')) },
    'batched: subscribed says the epoch',
  ],
  [
    'gives no cursors',
    { hear: bending('positions', without('cursor')) },
    'batched: the last positions of a flush have a cursor',
  ],
  [
    'tells nobody what has left the box',
    { hear: bending('hidden', () => []) },
    'batched: with a bbox only devices inside are shown',
  ],
  [
    'shows what is outside of the box',
    { say: (text) => [text.replace(/,"bbox":\[[^\]]*\]/u, '')] },
    'batched: with a bbox only devices inside are shown',
  ],
  [
    'tells nobody that devices come and go',
    { hear: bending('devices', () => []) },
    'batched: devices says who came and who left',
  ],
  [
    'keeps a faulty fix',
    { hear: bending('devices', (message) => [{ ...message, removed: [] }]) },
    'batched: a fix found faulty disappears',
  ],
  [
    'is faster than was asked for',
    { say: (text) => [text.replace('"maxHz":1,', '"maxHz":20,').replace('"maxHz":1}', '"maxHz":20}')] },
    'batched: a client gets no more frames a second than its maxHz',
  ],
  [
    'sends a snapshot after an update',
    {
      hear: bending('updated', (message) => [
        message,
        { type: 'snapshot', topic: message['topic'], part: 0, rows: [], last: true, cursor: 'c' },
      ]),
    },
    'batched: an update of the bbox brings',
  ],
  [
    'goes back in time',
    {
      hear: bending('positions', (message) => [
        message,
        { ...message, rows: rowsOf(message).map((row) => row.with(3, Number(row[3]) - 1)) },
      ]),
    },
    'both dialects: per device in fix-time order',
  ],
];

test.each(broken)('a server that %s does not pass', async (_, bend, says) => {
  await using proxy = await startBendingProxy(target.url, bend);
  const sentences = allSentences.filter((sentence) => sentence.says.startsWith(says));
  expect(sentences).toHaveLength(1);
  const bent = { ...target, url: proxy.url, answerMs: 700, refreshMs: 1_200 };
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
