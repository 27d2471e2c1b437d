import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** Reads a setting's raw value from the environment or, for a secret, from the file in `NAME_FILE`; undefined if unset. */
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
    ? { problem: `is set twice, directly and by ${name}_FILE; remove one` }
    : readSecretFile(name, resolve(path));
}

/** `path` is absolute: `./run` resolves a relative one against the repository, and a message shows what it became. */
function readSecretFile(name: string, path: string): string | { readonly problem: string } {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return {
      problem: `cannot be read from ${path}, set by ${name}_FILE (${code}); check the path and its permissions`,
    };
  }
  // Editors and `echo` end a file with a line break that is not part of the secret.
  const value = content.replace(/[\r\n]+$/u, '');
  return value === ''
    ? { problem: `is empty in ${path}, set by ${name}_FILE; write the value into that file` }
    : value;
}
