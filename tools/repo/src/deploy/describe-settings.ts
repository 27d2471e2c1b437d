import { migrateSettings } from '@app/migrate/settings';
import { settingMeta } from '@app/runtime/config';
import { gatewaySettings } from '@app/live-gateway/config';
import { processorSettings } from '@app/processor/config';
import { z } from 'zod';

type Settings = Readonly<Record<string, z.ZodType>>;

const introduction = `# Configuration

<!-- Made by \`pnpm run generate\` from the schemas that the services read; \`./run check\` refuses it when it is stale. -->

Environment variables, read once at the start. All that is wrong is said at once, on stderr, and the service exits
with 78. An empty variable counts as unset. A variable marked **secret** is never printed, and can be given as
\`NAME_FILE\`, the path of a file that holds it. Variables that are not listed are ignored.
`;

/** docs/configuration.md: every environment variable of the services, from their schemas. */
export function describeSettings(): string {
  const processor: Settings = processorSettings.shape;
  const gateway: Settings = gatewaySettings.shape;
  const shared = Object.fromEntries(
    Object.entries(processor).filter(([name, schema]) => gateway[name] === schema),
  );
  const without = (settings: Settings): Settings =>
    Object.fromEntries(Object.entries(settings).filter(([name]) => !Object.hasOwn(shared, name)));
  return [
    introduction,
    section('Both services', shared),
    section('Processor', without(processor)),
    section('Live gateway', without(gateway), { INSTANCE_ID: 'the host name: in Kubernetes the pod' }),
    section('Migrations', migrateSettings.shape, {
      PROCESSOR_PASSWORD: 'nobody is made',
      GATEWAY_PASSWORD: 'nobody is made',
    }),
    `## Build

The images carry \`BUILD_COMMIT\`, which \`build_info\` and the first line of the log show.
`,
  ].join('\n');
}

function section(title: string, settings: Settings, unset: Readonly<Record<string, string>> = {}): string {
  const rows = Object.entries(settings).map(([name, schema]) => {
    const meta = settingMeta(schema);
    const secret = meta.secret === true ? ' **secret**' : '';
    const example = meta.example === undefined ? '' : ` Example: \`${meta.example}\`.`;
    const standard = describeDefault(schema, meta.unit) ?? unset[name] ?? '';
    return `| \`${name}\`${secret} | ${meta.expected ?? 'a text'} | ${standard} | ${meta.description ?? ''}${example} |`;
  });
  return `## ${title}

| variable | value | default | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}

/** Undefined where the service has its own way to find one. */
function describeDefault(schema: z.ZodType, unit: string | undefined): string | undefined {
  if (schema instanceof z.ZodDefault) {
    const value: unknown = schema.def.defaultValue;
    if (value === '') return 'none';
    const inWords = typeof value === 'number' ? inLargerUnit(value, unit) : undefined;
    return `\`${String(value)}\`${inWords === undefined ? '' : ` (${inWords})`}`;
  }
  return schema.safeParse(undefined).success ? undefined : 'must be set';
}

const largerUnits: Readonly<Record<string, readonly (readonly [name: string, size: number])[]>> = {
  milliseconds: [
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ],
  bytes: [
    ['MiB', 1_048_576],
    ['KiB', 1024],
  ],
};

function inLargerUnit(value: number, unit = ''): string | undefined {
  const fitting = largerUnits[unit]?.find(([, size]) => value >= size && value % size === 0);
  return fitting === undefined ? undefined : `${value / fitting[1]} ${fitting[0]}`;
}
