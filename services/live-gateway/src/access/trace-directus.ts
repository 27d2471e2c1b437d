import type { TraceStep } from '@app/runtime/tracing';
import type { CallDirectus } from './call-directus.ts';

/** Asks Directus as traced steps. Of the path only what is the same for everyone: no event's id. */
export function traceDirectus(trace: TraceStep | undefined, ask: CallDirectus): CallDirectus {
  if (trace === undefined) return ask;
  return (path, visitor, timeoutMs) => {
    const route = path.replace(/\?.*$/u, '').replace(/[0-9a-f-]{36}/iu, ':id');
    const words = {
      name: `GET ${route}`,
      kind: 'client',
      attributes: { 'http.request.method': 'GET', 'url.template': route, 'peer.service': 'directus' },
    } as const;
    return trace(words, () => ask(path, visitor, timeoutMs));
  };
}
