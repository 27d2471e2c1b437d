import { readFileSync } from 'node:fs';
import { parseSync, Visitor } from 'oxc-parser';

const callers: ReadonlySet<unknown> = new Set(['test', 'it', 'describe']);

/** Names of the tests and suites in a file as written, with placeholders such as `%s`. */
export function readTestNames(file: string): ReadonlySet<string> {
  const { program, errors } = parseSync(file, readFileSync(file, 'utf8'));
  const [error] = errors;
  if (error) throw new Error(`${file} does not parse: ${error.message}`);
  const names = new Set<string>();
  const visitor = new Visitor({
    CallExpression: ({ callee, arguments: [title] }) => {
      if (title?.type !== 'Literal' || typeof title.value !== 'string') return;
      if (callers.has(rootName(callee))) names.add(title.value);
    },
  });
  visitor.visit(program);
  return names;
}

/** `test` of `test(…)`, `test.for(…)(…)` and `describe.concurrent(…)`. */
function rootName(callee: unknown): unknown {
  if (typeof callee !== 'object' || callee === null) return undefined;
  if ('name' in callee) return callee.name;
  if ('object' in callee) return rootName(callee.object);
  return 'callee' in callee ? rootName(callee.callee) : undefined;
}
