import { readFile } from 'node:fs/promises';

export interface DocumentedMetric {
  readonly name: string;
  readonly type: string;
  /** Values by label; undefined if the table does not list them. */
  readonly labels: ReadonlyMap<string, readonly string[] | undefined>;
}

/** The metrics with this prefix in the table under `## {service}` of docs/metrics.md. */
export async function documentedMetrics(
  service: string,
  prefix: string,
): Promise<readonly DocumentedMetric[]> {
  const text = await readFile(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
  const [, section = ''] = text.split(`\n## ${service}\n`);
  return (section.split('\n## ')[0] ?? '').split('\n').flatMap((line) => {
    const [, name, type = '', labels = ''] = line.split('|').map((cell) => cell.trim());
    if (name?.startsWith(`\`${prefix}`) !== true) return [];
    return [{ name: unquote(name), type, labels: readLabels(labels) }];
  });
}

// `label`: `value`, `value`; `label`: …
function readLabels(cell: string): DocumentedMetric['labels'] {
  const labels = new Map<string, readonly string[] | undefined>();
  for (const part of cell.split(';').filter((text) => text !== '')) {
    const [label = '', values = ''] = part.split(': ');
    labels.set(unquote(label.trim()), values === '…' ? undefined : values.split(', ').map(unquote));
  }
  return labels;
}

function unquote(text: string): string {
  return text.replaceAll('`', '');
}
