import { isUuid } from '@app/shared/topics';

export interface SpectatorSettings {
  readonly directusUrl: string;
  readonly liveUrl: string;
  readonly eventId: string;
  readonly email: string;
  readonly password: string;
}

/** Reads the settings from the environment, or returns all problems with them. */
export function readSettings(
  env: NodeJS.ProcessEnv,
): { readonly settings: SpectatorSettings } | { readonly problems: readonly string[] } {
  const problems: string[] = [];
  const read = (name: string, isValid: (value: string) => boolean, what: string): string => {
    const value = env[name] ?? '';
    if (!isValid(value)) problems.push(`${name} must be ${what}`);
    return value;
  };
  const settings: SpectatorSettings = {
    directusUrl: read(
      'DIRECTUS_URL',
      isUrlOf('http:', 'https:'),
      'a URL that starts with http:// or https://',
    ),
    liveUrl: read('LIVE_URL', isUrlOf('ws:', 'wss:'), 'a URL that starts with ws:// or wss://'),
    eventId: read('EVENT_ID', isUuid, 'the UUID of an event, in lower case'),
    email: read('DIRECTUS_EMAIL', isSet, 'set'),
    password: read('DIRECTUS_PASSWORD', isSet, 'set'),
  };
  return problems.length > 0 ? { problems } : { settings };
}

function isSet(value: string): boolean {
  return value !== '';
}

function isUrlOf(...protocols: readonly string[]): (value: string) => boolean {
  return (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol);
}
