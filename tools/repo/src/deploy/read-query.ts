import { parser } from '@prometheus-io/lezer-promql';
import type { SyntaxNode } from '@lezer/common';

/** A series selector of a query: `name{label="value"}`. */
export interface Selector {
  readonly metric: string;
  /** Values that each label is compared with; a pattern of alternatives (`a|b`) is split. */
  readonly labels: ReadonlyMap<string, readonly string[]>;
}

export interface ReadQuery {
  readonly selectors: readonly Selector[];
  /** All labels that it groups, joins or selects by. */
  readonly labels: ReadonlySet<string>;
}

/** Parses a PromQL expression. Throws with the position of a syntax error. */
export function readQuery(expr: string): ReadQuery {
  const selectors: Selector[] = [];
  const labels = new Set<string>();
  const sourceOf = (node: SyntaxNode): string => expr.slice(node.from, node.to);
  parser.parse(expr).iterate({
    enter({ node, name, type }) {
      if (type.isError) throw new Error(`not PromQL at ${node.from}: ${expr.slice(node.from)}`);
      if (name === 'LabelName') labels.add(sourceOf(node));
      if (name === 'VectorSelector') selectors.push(readSelector(node, sourceOf));
    },
  });
  return { selectors, labels };
}

function readSelector(selector: SyntaxNode, sourceOf: (node: SyntaxNode) => string): Selector {
  const name = selector.getChild('Identifier');
  if (name === null) throw new Error(`a selector without a metric name: ${sourceOf(selector)}`);
  const matchers = selector.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
  return {
    metric: sourceOf(name),
    labels: new Map(
      matchers.map((matcher) => {
        const [label, value] = [matcher.getChild('LabelName'), matcher.getChild('StringLiteral')];
        if (label === null || value === null) throw new Error(`an unknown matcher: ${sourceOf(matcher)}`);
        return [sourceOf(label), sourceOf(value).slice(1, -1).split('|')];
      }),
    ),
  };
}
