import { existsSync, globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { readRepositoryFile, repositoryPath } from '../../src/deploy/repository.ts';
import { anchorsOf } from './support/markdown-anchors.ts';

const documents = ['*.md', 'docs/*.md', 'deploy/*/*.md'].flatMap((pattern) =>
  globSync(pattern, { cwd: repositoryPath('.') }),
);

test.for(documents)('the links of %s resolve', (document) => {
  const text = readRepositoryFile(document).replaceAll(/^```[\s\S]*?^```/gmu, '');
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/gu)].map(([, link = '']) => link);
  const dead = links
    .filter((link) => !/^(?:https?|mailto):/u.test(link))
    .filter((link) => {
      const [path = '', anchor] = link.split('#');
      const file = path === '' ? document : join(dirname(document), path);
      if (!existsSync(repositoryPath(file))) return true;
      return anchor !== undefined && !anchorsOf(readRepositoryFile(file)).includes(anchor);
    });
  expect(dead).toEqual([]);
});
