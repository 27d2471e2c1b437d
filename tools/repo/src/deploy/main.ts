import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { generatedFiles } from './generated-files.ts';
import { readRepositoryFile, repositoryPath } from './repository.ts';

/** Writes the generated files. With `--check` only reports stale ones and fails. */
const isCheck = process.argv.includes('--check');

for (const { path, content } of await generatedFiles()) {
  const target = repositoryPath(path);
  if (existsSync(target) && readRepositoryFile(path) === content) continue;
  if (isCheck) {
    console.error(`${path} is stale; run pnpm run generate`);
    process.exitCode = 1;
  } else {
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
    console.log(`wrote ${path}`);
  }
}
