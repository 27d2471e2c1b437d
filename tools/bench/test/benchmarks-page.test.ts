import { expect, test } from 'vitest';
import { withSection } from '../src/benchmarks-page.ts';

test('a new section is appended, an existing one replaced', () => {
  const one = withSection('# Benchmarks\n', 'one', '## One\n\n1\n');
  expect(one).toMatch(/^# Benchmarks\n\n<!-- one: .* -->\n\n## One\n\n1\n\n<!-- end of one -->\n$/u);
  const both = withSection(one, 'two', '## Two\n');
  expect(both.startsWith(one)).toBe(true);
  expect(withSection(both, 'one', '## One\n\n1\n')).toBe(both);
  const changed = withSection(both, 'one', '## One\n\n11 $& $1\n');
  expect(changed).toContain('11 $& $1');
  expect(changed).toContain('## Two');
  expect(changed.match(/## One/gu)).toHaveLength(1);
});
