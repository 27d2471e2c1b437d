import type { TraceStep } from '@app/runtime/tracing';
import type { CallDirectus } from './call-directus.ts';

/** Traces each Directus call as a span. The span has the route, without event ids. */
export function traceDirectus(trace: TraceStep | undefined, call: CallDirectus): CallDirectus {
  if (trace === undefined) return call;
  return (path, visitor, timeoutMs) => {
    const route = path.replace(/\?.*$/u, '').replace(/[0-9a-f-]{36}/iu, ':id');
    const spanOptions = {
      name: `GET ${route}`,
      kind: 'client',
      attributes: { 'http.request.method': 'GET', 'url.template': route, 'peer.service': 'directus' },
    } as const;
    return trace(spanOptions, () => call(path, visitor, timeoutMs));
  };
}
