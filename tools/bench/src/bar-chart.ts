import { fixed, whole } from './format-number.ts';

export interface BarChart {
  readonly title: string;
  /** `positions/s` */
  readonly unit: string;
  /** Decimals. */
  readonly digits: number;
  /** One per part of a bar; a legend is drawn for several. */
  readonly parts: readonly string[];
  readonly bars: readonly { readonly label: string; readonly values: readonly number[] }[];
  /** Parts end to end, or side by side. */
  readonly arrangement: 'stacked' | 'grouped';
  /** A line across all bars. */
  readonly goal?: { readonly value: number; readonly label: string };
}

const widthPx = 800;
const labelPx = 250;
const numberPx = 165;
const barPx = 18;
const gapPx = 12;
const headPx = 34;
const legendPx = 26;
// Okabe and Ito: distinguishable in grey and on white and black.
const colours = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00'];
const style = `text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:15px}
.paper{fill:#fff}.goal{stroke:#d1242f;stroke-dasharray:4 3}.aim{fill:#d1242f}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.aim{fill:#ff7b72}}`;

/** Horizontal bars with numbers, as SVG for light and dark pages. */
export function barChart(chart: BarChart): string {
  const { parts, bars, arrangement, goal, title } = chart;
  const rowsInBar = arrangement === 'grouped' ? parts.length : 1;
  const totals = bars.flatMap(({ values }) => (arrangement === 'grouped' ? values : [sum(values)]));
  const max = Math.max(...totals, goal?.value ?? 0);
  const px = (value: number): number => (max > 0 ? (value / max) * (widthPx - labelPx - numberPx) : 0);
  const topPx = headPx + (parts.length > 1 ? legendPx : 0) + (goal === undefined ? 0 : legendPx);
  const barHeightPx = rowsInBar * barPx + gapPx;
  const heightPx = topPx + bars.length * barHeightPx + gapPx;

  const shapes: string[] = [text(12, 22, title, 'class="title"')];
  if (parts.length > 1) shapes.push(...legend(parts));
  for (const [number, { label, values }] of bars.entries()) {
    const yPx = topPx + number * barHeightPx;
    const middlePx = yPx + (rowsInBar * barPx) / 2 + 5;
    shapes.push(text(labelPx - 10, middlePx, label, 'text-anchor="end"'));
    let xPx = labelPx;
    for (const [part, value] of values.entries()) {
      const rowPx = arrangement === 'grouped' ? yPx + part * barPx : yPx;
      const partPx = px(value);
      shapes.push(
        `<rect x="${round(xPx)}" y="${rowPx}" width="${round(partPx)}" height="${barPx - 2}" fill="${colourOf(part)}"/>`,
      );
      if (arrangement === 'grouped')
        shapes.push(text(labelPx + partPx + 6, rowPx + 13, numberOf(chart, value)));
      else xPx += partPx;
    }
    if (arrangement === 'stacked') shapes.push(text(xPx + 6, middlePx, numberOf(chart, sum(values))));
  }
  if (goal !== undefined) {
    const xPx = round(labelPx + px(goal.value));
    shapes.push(
      text(xPx, topPx - 10, goal.label, 'class="aim" text-anchor="middle"'),
      `<line class="goal" x1="${xPx}" y1="${topPx - 6}" x2="${xPx}" y2="${heightPx - gapPx}"/>`,
    );
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${widthPx} ${heightPx}" role="img" aria-label="${escape(title)}">
<style>${style}</style>
<rect class="paper" width="${widthPx}" height="${heightPx}"/>
${shapes.join('\n')}
</svg>
`;
}

function legend(parts: readonly string[]): string[] {
  let xPx = labelPx;
  return parts.flatMap((part, index) => {
    const shapes = [
      `<rect x="${xPx}" y="36" width="12" height="12" fill="${colourOf(index)}"/>`,
      text(xPx + 17, 47, part),
    ];
    xPx += 40 + part.length * 7;
    return shapes;
  });
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escape(content)}</text>`;
}

function numberOf({ unit, digits }: BarChart, value: number): string {
  return `${digits === 0 ? whole(value) : fixed(value, digits)} ${unit}`;
}

function colourOf(part: number): string {
  return colours[part % colours.length] ?? 'grey';
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function round(px: number): number {
  return Math.round(px * 10) / 10;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
