import { parser } from '@prometheus-io/lezer-promql';
import type { SyntaxNode } from '@lezer/common';

/** One series selector of a query: `name{label="value"}`. */
export interface Selector {
  readonly metric: string;
  /** The values that each label is compared with, taken apart where a pattern is only a choice: `a|b`. */
  readonly labels: ReadonlyMap<string, readonly string[]>;
}

export interface ReadQuery {
  readonly selectors: readonly Selector[];
  /** What it groups, joins or selects by. */
  readonly labels: ReadonlySet<string>;
}

/**
 * What a PromQL expression asks for.
 *
 * @throws with the place, where the grammar of Prometheus does not take it.
 */
export function readQuery(expr: string): ReadQuery {
  const selectors: Selector[] = [];
  const labels = new Set<string>();
  const textOf = (node: SyntaxNode): string => expr.slice(node.from, node.to);
  parser.parse(expr).iterate({
    enter({ node, name, type }) {
      if (type.isError) throw new Error(`not PromQL at ${node.from}: ${expr.slice(node.from)}`);
      if (name === 'LabelName') labels.add(textOf(node));
      if (name === 'VectorSelector') selectors.push(readSelector(node, textOf));
    },
  });
  return { selectors, labels };
}

function readSelector(selector: SyntaxNode, textOf: (node: SyntaxNode) => string): Selector {
  const name = selector.getChild('Identifier');
  if (name === null) throw new Error(`a selector without a name hides what it asks for: ${textOf(selector)}`);
  const matchers = selector.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
  return {
    metric: textOf(name),
    labels: new Map(
      matchers.map((matcher) => {
        const [label, value] = [matcher.getChild('LabelName'), matcher.getChild('StringLiteral')];
        if (label === null || value === null) throw new Error(`an unknown matcher: ${textOf(matcher)}`);
        return [textOf(label), textOf(value).slice(1, -1).split('|')];
      }),
    ),
  };
}
