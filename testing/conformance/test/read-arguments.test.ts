import { describe, expect, test } from 'vitest';
import { readArguments } from '../src/read-arguments.ts';

const url = 'ws://127.0.0.1:8081/ws-live';

describe('the arguments of ./run conformance', () => {
  test('only the URL is required; its server is the default origin', () => {
    expect(readArguments([url], {})).toEqual({
      url,
      origin: 'http://127.0.0.1:8081',
      letsInWithoutOrigin: false,
      session: undefined,
      eventId: undefined,
      stream: undefined,
      redisUrl: undefined,
      postgresUrl: undefined,
      refreshMs: 30_000,
      only: '',
    });
    expect(readArguments(['wss://live.example.org/ws-live'], {})).toMatchObject({
      origin: 'https://live.example.org',
    });
  });

  test('secrets come from the environment', () => {
    const env = {
      LIVE_SESSION: 'directus_session_token=x',
      REDIS_URL: 'redis://r',
      POSTGRES_URL: 'postgres://p',
    };
    const event = '0190c5de-7a5b-7000-8000-000000000001';
    const args = [url, '--event', event, '--stream', 's', '--origin', 'https://a', '--refresh-ms', '200'];
    expect(readArguments(args, env)).toMatchObject({
      session: 'directus_session_token=x',
      eventId: event,
      stream: 's',
      redisUrl: 'redis://r',
      postgresUrl: 'postgres://p',
      origin: 'https://a',
      refreshMs: 200,
    });
  });

  test.each([
    [[], {}, 'no ws:// or wss:// URL'],
    [['http://127.0.0.1'], {}, 'no ws:// or wss:// URL'],
    [[url, url], {}, 'one server at a time'],
    [[url, '--event', 'race'], {}, '--event must be a UUID'],
    [[url, '--refresh-ms', 'soon'], {}, '--refresh-ms must be a whole number'],
    [[url, '--loud'], {}, '--loud'],
    [[url], { LIVE_SESSION: 'token' }, 'LIVE_SESSION must be name=value'],
  ])('%j with %j is refused', (args, env, problem) => {
    expect(() => readArguments(args, env)).toThrow(problem);
  });
});
