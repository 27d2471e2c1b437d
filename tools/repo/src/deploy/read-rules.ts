import { parse } from 'yaml';
import { z } from 'zod';
import { readRepositoryFile } from './repository.ts';

const rule = z.strictObject({
  record: z.string().optional(),
  alert: z.string().optional(),
  expr: z.string(),
  for: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
});
const ruleFile = z.strictObject({
  groups: z.array(z.strictObject({ name: z.string(), rules: z.array(rule) })),
});

export const ruleFiles = [
  'deploy/prometheus/processor.rules.yml',
  'deploy/prometheus/live-gateway.rules.yml',
];

export type RuleGroup = z.output<typeof ruleFile>['groups'][number];

/** Reads the rule groups of a file. */
export function readRuleGroups(file: string): readonly RuleGroup[] {
  return ruleFile.parse(parse(readRepositoryFile(file))).groups;
}
