import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import {
  PrometheusRule,
  ServiceMonitor,
} from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { Deployment, StatefulSet } from 'kubernetes-models/apps/v1';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { CronJob, Job } from 'kubernetes-models/batch/v1';
import { Ingress, NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, Namespace, Secret, Service, ServiceAccount } from 'kubernetes-models/v1';

interface Model {
  validate(): void;
}

/** Models of Kubernetes and custom resources by API version and kind. */
const models: Readonly<Record<string, Readonly<Record<string, new (data: never) => Model>>>> = {
  v1: { ConfigMap, Namespace, Secret, Service, ServiceAccount },
  'apps/v1': { Deployment, StatefulSet },
  'autoscaling/v2': { HorizontalPodAutoscaler },
  'batch/v1': { CronJob, Job },
  'keda.sh/v1alpha1': { ScaledObject },
  'monitoring.coreos.com/v1': { PrometheusRule, ServiceMonitor },
  'networking.k8s.io/v1': { Ingress, NetworkPolicy },
  'policy/v1': { PodDisruptionBudget },
};

/** @throws on a wrong type, a missing value or an unknown kind. */
export function validateBySchema(object: { readonly apiVersion: string; readonly kind: string }): void {
  const Kind = models[object.apiVersion]?.[object.kind];
  if (Kind === undefined) throw new Error(`no schema of ${object.apiVersion} ${object.kind}`);
  // Each model takes its own interface; validate() checks whether the object implements it.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  new Kind(object as never).validate();
}

const packages: Readonly<Record<string, string>> = {
  'keda.sh/v1alpha1': '@kubernetes-models/keda/',
  'monitoring.coreos.com/v1': '@kubernetes-models/prometheus-operator/',
};

/** A TypeScript module that compiles only if no object has an unknown field. */
export function asTypedModule(
  objects: readonly { readonly apiVersion: string; readonly kind: string }[],
): string {
  const statements = objects.map((object, index) => {
    const from = `${packages[object.apiVersion] ?? 'kubernetes-models/'}${object.apiVersion}`;
    return `import type { I${object.kind} as Kind${index} } from '${from}';
export const object${index} = ${JSON.stringify(object, null, 2)} satisfies Kind${index};
`;
  });
  return statements.join('');
}
