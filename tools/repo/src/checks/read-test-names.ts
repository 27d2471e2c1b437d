import { readFileSync } from 'node:fs';
import { parseSync } from 'oxc-parser';

const callers: ReadonlySet<unknown> = new Set(['test', 'it', 'describe']);

/** Names of the tests and suites in a file as written, with placeholders such as `%s`. */
export function readTestNames(file: string): ReadonlySet<string> {
  const { program, errors } = parseSync(file, readFileSync(file, 'utf8'));
  const [error] = errors;
  if (error) throw new Error(`${file} does not parse: ${error.message}`);
  const names = new Set<string>();
  collectNames(program, names);
  return names;
}

function collectNames(node: unknown, names: Set<string>): void {
  if (typeof node !== 'object' || node === null) return;
  if ('type' in node && node.type === 'CallExpression' && 'callee' in node && 'arguments' in node) {
    const [title] = Array.isArray(node.arguments) ? node.arguments : [];
    const name = callers.has(rootName(node.callee)) ? readTitle(title) : undefined;
    if (name !== undefined) names.add(name);
  }
  for (const child of Object.values(node)) collectNames(child, names);
}

/** `test` of `test(…)`, `test.for(…)(…)` and `describe.concurrent(…)`. */
function rootName(callee: unknown): unknown {
  if (typeof callee !== 'object' || callee === null) return undefined;
  if ('name' in callee) return callee.name;
  if ('object' in callee) return rootName(callee.object);
  return 'callee' in callee ? rootName(callee.callee) : undefined;
}

function readTitle(title: unknown): string | undefined {
  if (typeof title !== 'object' || title === null) return undefined;
  return 'value' in title && typeof title.value === 'string' ? title.value : undefined;
}
