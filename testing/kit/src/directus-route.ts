/** The route of a request. */
export type DirectusRoute =
  | {
      readonly to:
        | 'ping'
        | 'me'
        | 'event list'
        | 'incidents'
        | 'log in'
        | 'refresh'
        | 'login page'
        | 'nowhere';
    }
  | { readonly to: 'event'; readonly id: string };

/**
 * Finds the route of a request's raw path. Dot segments are resolved, as by `fetch`, proxies and Directus: the event ids
 * ``, `.`, `%2e` and `../../users/me` get 200 with other data from the real Directus too.
 */
export function findRoute(method: string, rawPath: string): DirectusRoute {
  const path = `/${resolveDots(rawPath.split('/').slice(1)).join('/')}`;
  if (method === 'POST') {
    if (path === '/auth/refresh') return { to: 'refresh' };
    return { to: path === '/auth/login' ? 'log in' : 'nowhere' };
  }
  if (method !== 'GET') return { to: 'nowhere' };
  if (path === '/server/ping') return { to: 'ping' };
  if (path === '/users/me') return { to: 'me' };
  if (path === '/admin/login') return { to: 'login page' };
  if (path === '/items/events' || path === '/items/events/') return { to: 'event list' };
  if (path === '/items/incidents') return { to: 'incidents' };
  const [, encodedId] = /^\/items\/events\/([^/]+)\/?$/.exec(path) ?? [];
  return encodedId === undefined ? { to: 'nowhere' } : { to: 'event', id: decode(encodedId) };
}

function resolveDots(segments: readonly string[]): readonly string[] {
  const resolved: string[] = [];
  segments.forEach((segment, index) => {
    const plain = segment.replaceAll(/%2e/gi, '.');
    const isLast = index === segments.length - 1;
    if (plain !== '.' && plain !== '..') {
      resolved.push(segment);
      return;
    }
    if (plain === '..') resolved.pop();
    // A trailing dot segment leaves a trailing slash.
    if (isLast) resolved.push('');
  });
  return resolved;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // An incomplete escape: no existing id.
  }
}
