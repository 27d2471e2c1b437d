import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../../../..', import.meta.url));
const parts = [
  '.gitignore',
  '.oxlintrc.json',
  'docs',
  'package.json',
  'packages',
  'pnpm-lock.yaml',
  'pnpm-workspace.yaml',
  'services',
  'testing',
  'tools',
  'tsconfig.base.json',
  'turbo.json',
];

/** A copy of this repository's sources in a temporary folder, to test broken rules in. */
export class RepositoryCopy {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'checks-copy-')));

  constructor() {
    for (const part of parts) {
      // Keep links: those of the workspace are relative, so they point into the copy.
      cpSync(join(repository, part), join(this.root, part), { recursive: true, verbatimSymlinks: true });
    }
    // A folder of links instead of one link, since .gitignore names a folder.
    mkdirSync(join(this.root, 'node_modules'));
    for (const entry of readdirSync(join(repository, 'node_modules'))) {
      symlinkSync(join(repository, 'node_modules', entry), join(this.root, 'node_modules', entry));
    }
    // Without a commit turbo walks all folders, including dependencies, for half a minute.
    this.#git('init', '--quiet');
    this.#git('add', '--all');
    this.#git('-c', 'user.name=copy', '-c', 'user.email=copy@localhost', 'commit', '--quiet', '-m', 'copy');
  }

  #git(...args: readonly string[]): void {
    const { status, stderr } = spawnSync('git', args, { cwd: this.root, encoding: 'utf8' });
    if (status !== 0) throw new Error(`git ${args.join(' ')} failed: ${stderr}`);
  }

  /** Adds files (path → content), deleted when the result is disposed. Fails if one exists. */
  addFiles(files: Readonly<Record<string, string>>): Disposable {
    for (const [file, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.root, file)), { recursive: true });
      writeFileSync(join(this.root, file), content, { flag: 'wx' });
    }
    return {
      [Symbol.dispose]: () => {
        for (const file of Object.keys(files)) rmSync(join(this.root, file));
      },
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }
}
