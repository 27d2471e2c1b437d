import { existsSync, readFileSync } from 'node:fs';
import { pruneSettings } from '@app/migrate/prune-settings';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { seededEventId, seededFleet } from '@app/fleet-sim/seed-sql';

interface ComposeFile {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly image?: string;
        readonly profiles?: readonly string[];
        readonly restart?: string;
        readonly command?: readonly string[];
        readonly environment?: Readonly<Record<string, string>>;
        readonly ports?: readonly string[];
        readonly volumes?: readonly string[];
        readonly stop_grace_period?: string;
      }
    >
  >;
}

const repository = new URL('../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, repository), 'utf8');
const composeText = read('docker-compose.yml');
const { services }: ComposeFile = parse(composeText, { merge: true });

test('.env.example lists exactly the variables of docker-compose.yml with their defaults', () => {
  const used = new Map<string, string>();
  for (const [, name = '', fallback = ''] of composeText.matchAll(/\$\{(\w+):-([^}]*)\}/gu)) {
    // The same default everywhere.
    expect([name, used.get(name) ?? fallback]).toEqual([name, fallback]);
    used.set(name, fallback);
  }
  expect(composeText.match(/(?<!\$)\$\{(?!\w+:-)[^}]*\}/gu)).toBeNull();
  const named = [...read('.env.example').matchAll(/^# (\w+)=(.*)$/gmu)].map(([, name, value]) => [
    name,
    value,
  ]);
  expect(new Map(named.map(([name = '', value = '']) => [name, value]))).toEqual(used);
});

test('every port is published on 127.0.0.1 only', () => {
  const ports = Object.values(services).flatMap((service) => service.ports ?? []);
  expect(ports.length).toBeGreaterThan(3);
  expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
});

test('every mounted file exists and is read-only', () => {
  const files = Object.values(services)
    .flatMap((service) => service.volumes ?? [])
    .filter((volume) => volume.startsWith('./'));
  expect(files.length).toBeGreaterThan(5);
  expect(files.filter((file) => !file.endsWith(':ro'))).toEqual([]);
  const paths = files.map((file) => new URL(file.split(':')[0] ?? '', repository));
  expect(paths.filter((path) => !existsSync(path))).toEqual([]);
});

test('the seeded event is the watched one, and fleet-sim sends its race', () => {
  const { command = [] } = services['fleet-sim'] ?? {};
  const { vehicles, seed } = seededFleet;
  expect(command).toEqual(['--vehicles', String(vehicles), '--seed', String(seed), '--incidents']);
  expect(services['spectator']?.environment?.['EVENT_ID']).toBe(seededEventId);
});

test('the prune job runs only on request, once, with an image that is built, and deletes nothing by default', () => {
  const { profiles, restart, image, command = [], environment = {} } = services['prune'] ?? {};
  expect(profiles).toEqual(['prune']);
  expect(restart).toBe('no');
  expect(image).toBe(services['migrate']?.image);
  expect(command[0]).toBe('node');
  expect(existsSync(new URL(command[1] ?? 'none', repository))).toBe(true);
  expect(Object.keys(environment).toSorted()).toEqual(['POSTGRES_URL', 'PRUNE_KEEP_DAYS']);
  expect(environment['PRUNE_KEEP_DAYS']).toBe('${PRUNE_KEEP_DAYS:-}');
  // An empty variable counts as unset.
  expect(pruneSettings.shape.PRUNE_KEEP_DAYS.safeParse(undefined).success).toBe(false);
});

test('all gateways have one key of session tickets, long enough', () => {
  const key = services['live-gateway']?.environment?.['LIVE_TICKET_KEY'] ?? '';
  const [, fallback] = /^\$\{LIVE_TICKET_KEY:-(.*)\}$/u.exec(key) ?? [];
  expect(fallback?.length).toBeGreaterThanOrEqual(32);
});

test('stop_grace_period exceeds the drain time', () => {
  const gatewayDrainMs = defaultOf('LIVE_WS_DRAIN_NOTICE_MS') + defaultOf('LIVE_WS_DRAIN_TIMEOUT_MS');
  expect(graceMs('live-gateway')).toBeGreaterThan(gatewayDrainMs + 10_000);
  // DRAIN_TIMEOUT_MS has its default of 20 s.
  expect(graceMs('processor')).toBeGreaterThan(20_000);
});

function graceMs(name: string): number {
  return 1000 * Number.parseInt(services[name]?.stop_grace_period ?? '0', 10);
}

function defaultOf(variable: string): number {
  return Number(new RegExp(`${variable}:-(\\d+)`, 'u').exec(composeText)?.[1]);
}
