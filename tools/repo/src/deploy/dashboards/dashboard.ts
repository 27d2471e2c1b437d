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

/** One line, or one for each series that the query returns. */
export interface Query {
  readonly expr: string;
  /** Legend format of Grafana: `{{label}}` is replaced by the label's value. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** Explains the panel to an on-call engineer. */
  readonly description: string;
  readonly kind: 'stat' | 'timeSeries';
  /** Unit id of Grafana. */
  readonly unit: 's' | 'short' | 'percentunit' | 'cps' | 'Bps' | 'bytes';
  readonly queries: readonly Query[];
  /** Thresholds of yellow and red; descending if less is worse. */
  readonly limits?: readonly [warn: number, alarm: number];
}

export interface Dashboard {
  /** Part of links to the dashboard; must not change. */
  readonly uid: string;
  readonly title: string;
  /** The label `job` of its services. */
  readonly job: string;
  /** Panels by the title of their row. */
  readonly rows: Readonly<Record<string, readonly Panel[]>>;
}

const gridColumns = 24;
const panelsPerRow = { stat: 6, timeSeries: 3 } as const;
const panelHeights = { stat: 4, timeSeries: 8 } as const;

/** The dashboard as Grafana imports it. */
export function toGrafana({ uid, title, job, rows }: Dashboard): GrafanaDashboard {
  const panels: (GrafanaPanel | RowPanel)[] = [];
  let y = 0;
  for (const [rowTitle, rowPanels] of Object.entries(rows)) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: rowTitle,
      collapsed: false,
      gridPos: { x: 0, y, w: gridColumns, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    let rowHeight = 0;
    for (const panel of rowPanels) {
      const width = gridColumns / panelsPerRow[panel.kind];
      const height = panelHeights[panel.kind];
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
    annotations: { list: [startsOf(job)] },
    templating: {
      list: [{ name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' }],
    },
    panels,
  };
}

/** Marks the starts of the job's processes in all panels. */
function startsOf(job: string) {
  return {
    name: 'starts',
    datasource: { type: 'prometheus', uid: '${datasource}' },
    enable: true,
    iconColor: 'blue',
    target: { refId: 'starts', expr: `changes(process_start_time_seconds{job="${job}"}[1m]) > 0` },
    titleFormat: '{{instance}} started', // a field of the data source, missing in Grafana's schema
  } satisfies AnnotationQuery<DataQuery & { expr: string }> & Readonly<Record<string, unknown>>;
}

/** Leaves out values that are Grafana's defaults. */
function toPanel(panel: Panel, id: number, gridPos: GridPos): GrafanaPanel {
  const { kind, title, description, unit, limits } = panel;
  const isStat = kind === 'stat';
  return {
    id,
    type: kind.toLowerCase(),
    title,
    description,
    gridPos,
    datasource: { type: 'prometheus', uid: '${datasource}' },
    targets: panel.queries.map(({ expr, legend }, index) => ({
      refId: String.fromCodePoint(65 + index),
      expr,
      ...(isStat ? { instant: true, range: false } : { legendFormat: legend }),
    })),
    fieldConfig: {
      defaults: isStat
        ? {
            unit,
            ...(limits !== undefined && { color: { mode: FieldColorModeId.Thresholds } }),
            thresholds: { mode: ThresholdsMode.Absolute, steps: steps(limits) },
          }
        : { unit, custom: { fillOpacity: 10, showPoints: 'never' } },
      overrides: [],
    },
    options: isStat
      ? { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'background', graphMode: 'none' }
      : { tooltip: { mode: 'multi', sort: 'desc' } },
  };
}

function steps(limits: Panel['limits']): Threshold[] {
  if (limits === undefined) return [{ color: 'green', value: null }];
  const [warn, alarm] = limits;
  const colors = ['green', 'yellow', 'red'];
  const values = [null, warn, alarm];
  if (warn > alarm) {
    colors.reverse();
    values.splice(1, 2, alarm, warn);
  }
  return colors.map((color, n) => ({ color, value: values[n] ?? null }));
}
