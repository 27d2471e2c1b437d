import { expect, test } from 'vitest';
import { readSettings } from '../src/read-settings.ts';

const env = {
  DIRECTUS_URL: 'http://localhost:8080',
  DIRECTUS_EMAIL: 'admin@example.org',
  DIRECTUS_PASSWORD: 'secret',
  LIVE_URL: 'ws://localhost:8080/ws-live',
  EVENT_ID: '5f1d6a3e-0b0c-4c53-9d7e-2a61c8f0e5a1',
};

test('reads the settings from the environment', () => {
  expect(readSettings(env)).toEqual({
    settings: {
      directusUrl: env.DIRECTUS_URL,
      email: env.DIRECTUS_EMAIL,
      password: env.DIRECTUS_PASSWORD,
      liveUrl: env.LIVE_URL,
      eventId: env.EVENT_ID,
    },
  });
});

test('reports all problems at once, without values', () => {
  const wrong = {
    ...env,
    DIRECTUS_URL: 'localhost',
    LIVE_URL: 'http://localhost',
    EVENT_ID: '../users/me',
    DIRECTUS_PASSWORD: '',
  };
  expect(readSettings(wrong)).toEqual({
    problems: [
      'DIRECTUS_URL must be a URL that starts with http:// or https://',
      'LIVE_URL must be a URL that starts with ws:// or wss://',
      'EVENT_ID must be the UUID of an event, in lower case',
      'DIRECTUS_PASSWORD must be set',
    ],
  });
});
