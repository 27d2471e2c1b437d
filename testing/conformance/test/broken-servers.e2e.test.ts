import { deflateRawSync } from 'node:zlib';
import { deflatedFrame } from '@app/shared/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allCases } from '../src/all-cases.ts';
import { describeResult, runCases } from '../src/run-cases.ts';
import { startRewritingProxy } from './support/rewriting-proxy.ts';
import type { Rewrites } from './support/rewriting-proxy.ts';
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

/** Replaces each server message of one type. */
const rewrite =
  (type: string, replace: (message: Message) => readonly object[]) =>
  (message: Message): readonly object[] =>
    message['type'] === type ? replace(message) : [message];

/** Sets fields of each server message of one type. */
const set = (type: string, fields: object): Rewrites => ({
  serverMessage: rewrite(type, (message) => [{ ...message, ...fields }]),
});

/** Sends positions in deflated frames, of the dictionary that was sent before or of another one. */
const deflatePositions = (dictionaryNumber: number): Rewrites => ({
  binary: (message) => {
    if (message['type'] !== 'positions') return undefined;
    const { dictionaryKind, messageKind } = deflatedFrame;
    const dictionary = Buffer.from('{"type":"positions"');
    const data = deflateRawSync(JSON.stringify(message), { dictionary });
    return [
      Buffer.concat([Buffer.from([dictionaryKind, 0, 0, 0, 7]), deflateRawSync(dictionary)]),
      Buffer.concat([Buffer.from([messageKind, 0, 0, 0, dictionaryNumber]), data]),
    ];
  },
});

const drop = (type: string): Rewrites => ({ serverMessage: rewrite(type, () => []) });

function rowsOf(message: Message): readonly (readonly unknown[])[] {
  return Array.isArray(message['rows']) ? message['rows'] : [];
}

function swapped([id, lon, lat, ...rest]: readonly unknown[]): readonly unknown[] {
  return [id, lat, lon, ...rest];
}

/** How a server is broken, and the start of the title of the case that must fail. */
const broken: readonly (readonly [string, Rewrites, string])[] = [
  ['does not repeat ids', { serverMessage: without('id') }, 'plain: each id'],
  ['deflates with a dictionary that was not sent', deflatePositions(8), 'batched: with deflate'],
  ['deflates for clients that did not ask', deflatePositions(7), 'batched: a row is'],
  ['replies twice', { serverMessage: rewrite('pong', (pong) => [pong, pong]) }, 'plain: each id'],
  [
    'repeats ids as strings',
    { serverMessage: rewrite('pong', (pong) => [{ ...pong, id: String(pong['id']) }]) },
    'plain: each id',
  ],
  [
    'answers every error with internal',
    set('error', { code: 'internal', temporary: true }),
    'plain: an event that does not',
  ],
  ['marks a permanent error temporary', set('error', { temporary: true }), 'plain: invalid JSON'],
  [
    'does not answer invalid messages',
    { serverMessage: rewrite('error', (error) => (error['code'] === 'bad-message' ? [] : [error])) },
    'plain: invalid JSON',
  ],
  [
    'refuses unknown fields',
    { clientMessage: (json) => (json.includes('colour') ? ['{"type":"?"}'] : [json]) },
    'plain: unknown fields',
  ],
  [
    'accepts messages of any length',
    { clientMessage: (json) => [json.length > 4096 ? '{"type":"ping"}' : json] },
    'plain: a message of',
  ],
  [
    'closes with another code',
    { closeCode: (code) => (code === 4400 ? 4000 : code) },
    'plain: a binary message',
  ],
  ['answers every upgrade 403', { status: () => 403 }, 'a request without a session'],
  ['sends no Retry-After', { retryAfter: () => undefined }, 'while Directus fails (503)'],
  [
    'accepts any Origin',
    { headers: (headers) => ({ ...headers, origin: 'https://live.example.org' }) },
    'an Origin that is not',
  ],
  [
    'sends coordinates as strings',
    { serverMessage: rewrite('position', (position) => [{ ...position, lat: String(position['lat']) }]) },
    'plain: a position has',
  ],
  [
    'omits 0',
    {
      serverMessage: rewrite('position', (position) => [
        Object.fromEntries(Object.entries(position).filter(([, value]) => value !== 0)),
      ]),
    },
    'plain: a position has',
  ],
  [
    'swaps latitude and longitude',
    {
      serverMessage: rewrite('position', (position) => [
        { ...position, lat: position['lon'], lon: position['lat'] },
      ]),
    },
    'plain: a position has',
  ],
  [
    'omits a device from the snapshot',
    {
      serverMessage: rewrite('subscribed', (message) => [
        { ...message, snapshot: Array.isArray(message['snapshot']) ? message['snapshot'].slice(1) : [] },
      ]),
    },
    'plain: subscribed has',
  ],
  ['sends no hello', drop('hello'), 'the first message of'],
  [
    'names its columns in another order',
    set('hello', { columns: ['deviceId', 'lat', 'lon'] }),
    'the first message of',
  ],
  [
    'sends rows with the latitude first',
    {
      serverMessage: rewrite('positions', (message) => [{ ...message, rows: rowsOf(message).map(swapped) }]),
    },
    'batched: a row is',
  ],
  [
    'claims to have recovered',
    set('subscribed', { recovered: true }),
    'batched: a resume with another epoch',
  ],
  [
    'never recovers',
    { clientMessage: (json) => [json.replace(/"epoch":"[^"]*"/u, '"epoch":"x"')] },
    'batched: a recovered resume',
  ],
  [
    'does not mark the last part of a snapshot',
    { serverMessage: rewrite('snapshot', without('last')) },
    'batched: subscribed has',
  ],
  ['sends no cursors', { serverMessage: rewrite('positions', without('cursor')) }, 'batched: the last frame'],
  ['does not send hidden', drop('hidden'), 'batched: a bbox'],
  [
    'ignores the bbox',
    { clientMessage: (json) => [json.replace(/,"bbox":\[[^\]]*\]/u, '')] },
    'batched: a bbox',
  ],
  ['does not send devices', drop('devices'), 'batched: devices'],
  ['does not remove a faulty fix', set('devices', { removed: [] }), 'batched: when a fix'],
  [
    'exceeds maxHz',
    { clientMessage: (json) => [json.replace(/"maxHz":1(?=[,}])/u, '"maxHz":20')] },
    'batched: a client gets',
  ],
  [
    'sends a snapshot after an update',
    {
      serverMessage: rewrite('updated', (message) => [
        message,
        { type: 'snapshot', topic: message['topic'], part: 0, rows: [], last: true, cursor: 'c' },
      ]),
    },
    'batched: an update',
  ],
  ['does not reset results', { serverMessage: rewrite('results', without('reset')) }, 'plain: results begin'],
  [
    'does not complete a revision',
    { serverMessage: rewrite('results', without('revision')) },
    'batched: results begin',
  ],
  [
    'sends columns of results that have not changed',
    {
      serverMessage: (message) => [
        JSON.parse(
          JSON.stringify(message).replaceAll('"progress_m":2', '"progress_m":2,"status":"on_stage"'),
        ),
      ],
    },
    'batched: a change of results',
  ],
  [
    'never resumes results',
    { clientMessage: (json) => [json.replace(/"cursor":"[^"]*"/u, '"cursor":"x"')] },
    'results: a cursor',
  ],
  [
    'loses a revision that was announced without changes',
    {
      serverMessage: rewrite('results', (message) =>
        JSON.stringify(message).includes('"confidence":"without changes"') ? [] : [message],
      ),
    },
    'results: revisions',
  ],
  [
    'sends results after unsubscribed',
    {
      serverMessage: rewrite('unsubscribed', (message) => [
        message,
        { type: 'results', topic: message['topic'], revision: 1, cursor: 'c' },
      ]),
    },
    'results: unsubscribe',
  ],
  [
    'sends an older position after a newer one',
    {
      serverMessage: rewrite('positions', (message) => [
        message,
        { ...message, rows: rowsOf(message).map((row) => row.with(3, Number(row[3]) - 1)) },
      ]),
    },
    'both dialects: positions',
  ],
];

test.each(broken)('a server that %s fails its case', async (_, rewrites, title) => {
  await using proxy = await startRewritingProxy(target.url, rewrites);
  const cases = allCases.filter((each) => each.title.startsWith(title));
  expect(cases).toHaveLength(1);
  const proxied = { ...target, url: proxy.url, answerMs: 700, refreshMs: 1_200 };
  const [result] = await runCases(cases, proxied);
  expect(result?.status).toBe('failed');
});

test('a server that deflates positions passes its case', async () => {
  await using proxy = await startRewritingProxy(target.url, deflatePositions(7));
  const cases = allCases.filter(({ title }) => title.startsWith('batched: with deflate'));
  const results = await runCases(cases, { ...target, url: proxy.url });
  expect(results.map(({ status }) => status)).toEqual(['passed']);
});

test('the same cases pass through a proxy that changes nothing', async () => {
  await using proxy = await startRewritingProxy(target.url, {});
  const cases = allCases.filter(({ title }) => broken.some(([, , start]) => title.startsWith(start)));
  const results = await runCases(cases, { ...target, url: proxy.url });
  expect(results.filter(({ status }) => status !== 'passed').map(describeResult)).toEqual([]);
});
