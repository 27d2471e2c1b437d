import { formatNumber } from './format-number.ts';

export interface BarChart {
  readonly title: string;
  /** `positions/s` */
  readonly unit: string;
  readonly bars: readonly { readonly label: string; readonly value: number }[];
  /** A line across all bars. */
  readonly goal?: number;
}

const widthPx = 800;
const labelPx = 250;
const numberPx = 165;
const barPx = 28;
const headPx = 44;
const style = `text{font:13px system-ui,sans-serif;fill:#1f2328}.paper{fill:#fff}.bar{fill:#0072b2}.goal{stroke:#d1242f}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}}`;

/** Horizontal bars with numbers, as SVG for light and dark pages. */
export function barChart({ title, unit, bars, goal }: BarChart): string {
  const max = Math.max(...bars.map(({ value }) => value), goal ?? 0, Number.MIN_VALUE);
  const px = (value: number): number => Math.round((value / max) * (widthPx - labelPx - numberPx));
  const heightPx = headPx + bars.length * barPx + 10;
  const shapes = bars.flatMap(({ label, value }, index) => {
    const yPx = headPx + index * barPx;
    return [
      `<text x="${labelPx - 10}" y="${yPx + 15}" text-anchor="end">${escape(label)}</text>`,
      `<rect class="bar" x="${labelPx}" y="${yPx}" width="${px(value)}" height="20"/>`,
      `<text x="${labelPx + px(value) + 6}" y="${yPx + 15}">${formatNumber(value)} ${escape(unit)}</text>`,
    ];
  });
  if (goal !== undefined) {
    const xPx = labelPx + px(goal);
    shapes.push(
      `<text x="${xPx}" y="34" text-anchor="middle">goal ${formatNumber(goal)}</text>`,
      `<line class="goal" x1="${xPx}" y1="38" x2="${xPx}" y2="${heightPx - 10}"/>`,
    );
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${widthPx} ${heightPx}" role="img" aria-label="${escape(title)}">
<style>${style}</style>
<rect class="paper" width="${widthPx}" height="${heightPx}"/>
<text x="12" y="20">${escape(title)}</text>
${shapes.join('\n')}
</svg>
`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
