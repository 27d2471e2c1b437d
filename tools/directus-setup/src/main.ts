import { ConfigError, readConfig, secret, string, urlOf } from '@app/runtime/config';
import { flag, readArguments } from '@app/runtime/read-arguments';
import { runTool } from '@app/runtime/run-tool';
import { z } from 'zod';
import { DirectusRefusal } from './directus-api.ts';
import { setUpDirectus } from './set-up-directus.ts';

const usage = `usage: ./run directus-setup [options]

Adds the collections of deploy/directus/snapshot.yaml and the policies and roles of deploy/directus/access.json to
the Directus at DIRECTUS_BASE_URL. Adds what is missing, changes and deletes nothing, and may be run again.

  --public           let everybody watch published events (attaches the policy to the public)
  --restore-access   also add permissions and policies that were removed from the policies and roles of access.json
  --help

DIRECTUS_TOKEN, or DIRECTUS_TOKEN_FILE, is a token of an administrator. Exit codes: 0 done, 1 failed or refused in
part, 2 wrong usage, 78 missing or invalid setting.`;

const settings = z.object({
  DIRECTUS_BASE_URL: urlOf('http:', 'https:')
    .transform((url) => url.replace(/\/+$/u, ''))
    .meta({ example: 'http://localhost:8055' }),
  DIRECTUS_TOKEN: secret(string()),
});

process.exitCode = await runTool({
  name: 'directus-setup',
  usage,
  read: () => readArguments(process.argv.slice(2), { public: flag(), 'restore-access': flag() }),
  run: async ({ values }) => {
    try {
      const { DIRECTUS_BASE_URL: baseUrl, DIRECTUS_TOKEN: token } = readConfig(settings, process.env);
      let lines = 0;
      const refused = await setUpDirectus({
        baseUrl,
        token,
        isPublic: values.public,
        isRestoring: values['restore-access'],
        print: (line) => {
          lines += 1;
          console.log(line);
        },
      });
      if (lines === 0) console.log('nothing to add: all is there');
      return refused === 0 ? 0 : 1;
    } catch (error) {
      if (!(error instanceof ConfigError) && !(error instanceof DirectusRefusal)) throw error;
      console.error(`directus-setup: ${error.message}`);
      return error instanceof ConfigError ? error.exitCode : 1;
    }
  },
});
