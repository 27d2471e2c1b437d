import { readFileSync } from 'node:fs';

/**
 * The text of a setting from the environment, unparsed: undefined when it is
 * not set, a problem when it cannot be had. An empty variable counts as unset.
 */
export function readSetting(
  name: string,
  isSecret: boolean,
  env: NodeJS.ProcessEnv,
): string | undefined | { readonly problem: string } {
  const value = env[name]?.trim();
  const path = env[`${name}_FILE`]?.trim();
  const isSet = value !== undefined && value !== '';
  if (!isSecret || path === undefined || path === '') {
    return isSet ? value : undefined;
  }
  return isSet
    ? { problem: `is set twice, directly and through ${name}_FILE; remove one of the two` }
    : readSecretFile(name, path);
}

function readSecretFile(name: string, path: string): string | { readonly problem: string } {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return {
      problem: `cannot be read: ${name}_FILE names ${path} (${code}); check the path and its permissions`,
    };
  }
  // Editors and `echo` end a file with a line break that is no part of the secret.
  const value = text.replace(/[\r\n]+$/u, '');
  return value === ''
    ? { problem: `is empty: ${name}_FILE names ${path}; write the value into that file` }
    : value;
}
