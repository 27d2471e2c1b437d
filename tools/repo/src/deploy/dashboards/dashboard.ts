import { DashboardCursorSync, FieldColorModeId, ThresholdsMode } from '@grafana/schema';
import type {
  AnnotationQuery,
  Dashboard as GrafanaDashboard,
  DataQuery,
  GridPos,
  Panel as GrafanaPanel,
  RowPanel,
  Threshold,
} from '@grafana/schema';

/** One curve, or one curve for each series that the query gives. */
export interface Query {
  readonly expr: string;
  /** Grafana's: `{{label}}` stands for that label's value. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** What a person on duty should make of it. */
  readonly description: string;
  readonly kind: 'number' | 'curves' | 'heatmap';
  /** Grafana's name for it. */
  readonly unit: 's' | 'short' | 'percentunit' | 'cps' | 'Bps' | 'bytes';
  readonly queries: readonly Query[];
  /** From which value on it is yellow, then red; descending where less is worse. */
  readonly limits?: readonly [warn: number, alarm: number];
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  /** Stable: links to a dashboard contain it. */
  readonly uid: string;
  readonly title: string;
  /** The label `job` of its services. */
  readonly job: string;
  readonly rows: readonly Row[];
}

const gridColumns = 24;
const numbersPerRow = 6;
const curvesPerRow = 3;

/** What Grafana imports: a value to write as JSON. */
export function toGrafana({ uid, title, job, rows }: Dashboard): GrafanaDashboard {
  const panels: (GrafanaPanel | RowPanel)[] = [];
  let y = 0;
  for (const row of rows) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y, w: gridColumns, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    let rowHeight = 0;
    for (const panel of row.panels) {
      const width = gridColumns / (panel.kind === 'number' ? numbersPerRow : curvesPerRow);
      const height = panel.kind === 'number' ? 4 : 8;
      if (x + width > gridColumns) {
        y += rowHeight;
        x = 0;
        rowHeight = 0;
      }
      panels.push(toPanel(panel, panels.length + 1, { x, y, w: width, h: height }));
      x += width;
      rowHeight = Math.max(rowHeight, height);
    }
    y += rowHeight;
  }
  return {
    uid,
    title,
    tags: ['live-tracking'],
    schemaVersion: 39,
    editable: false,
    graphTooltip: DashboardCursorSync.Crosshair, // one crosshair over all panels
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    links: [
      {
        title: 'live-tracking',
        type: 'dashboards',
        tags: ['live-tracking'],
        asDropdown: false,
        keepTime: true,
        icon: 'external link',
        targetBlank: false,
        tooltip: '',
        includeVars: true,
      },
    ],
    annotations: {
      list: [startsOf(job)],
    },
    templating: {
      list: [{ name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' }],
    },
    panels,
  };
}

/** A mark over all panels where a process of this job has started. */
function startsOf(job: string) {
  return {
    name: 'starts',
    datasource: { type: 'prometheus', uid: '${datasource}' },
    enable: true,
    iconColor: 'blue',
    target: { refId: 'starts', expr: `changes(process_start_time_seconds{job="${job}"}[1m]) > 0` },
    titleFormat: '{{instance}} started', // of the data source, not of Grafana's schema
  } satisfies AnnotationQuery<DataQuery & { expr: string }> & Readonly<Record<string, unknown>>;
}

const panelTypes = { number: 'stat', curves: 'timeseries', heatmap: 'heatmap' } as const;

function toPanel(panel: Panel, id: number, gridPos: GridPos): GrafanaPanel {
  return {
    id,
    type: panelTypes[panel.kind],
    title: panel.title,
    description: panel.description,
    gridPos,
    datasource: { type: 'prometheus', uid: '${datasource}' },
    targets: panel.queries.map(({ expr, legend }, index) => ({
      refId: String.fromCodePoint(65 + index),
      expr,
      legendFormat: legend,
      instant: panel.kind === 'number',
      range: panel.kind !== 'number',
      ...(panel.kind === 'heatmap' && { format: 'heatmap' }),
    })),
    fieldConfig: {
      defaults: {
        unit: panel.unit,
        ...(panel.limits !== undefined && { color: { mode: FieldColorModeId.Thresholds } }),
        thresholds: { mode: ThresholdsMode.Absolute, steps: steps(panel.limits) },
        custom: panel.kind === 'curves' ? { fillOpacity: 10, showPoints: 'never' } : {},
      },
      overrides: [],
    },
    options: options(panel.kind),
  };
}

function steps(limits: Panel['limits']): Threshold[] {
  if (limits === undefined) return [{ color: 'green', value: null }];
  const [warn, alarm] = limits;
  return warn <= alarm
    ? [
        { color: 'green', value: null },
        { color: 'yellow', value: warn },
        { color: 'red', value: alarm },
      ]
    : [
        { color: 'red', value: null },
        { color: 'yellow', value: alarm },
        { color: 'green', value: warn },
      ];
}

function options(kind: Panel['kind']): Record<string, unknown> {
  if (kind === 'number') {
    return { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'background', graphMode: 'none' };
  }
  if (kind === 'heatmap') return { calculate: false, yAxis: { unit: 's' }, color: { scheme: 'Blues' } };
  return { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } };
}
