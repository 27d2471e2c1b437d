/** One response of Directus, as recorded from 11.3.5 and 12.4.0. */
export interface DirectusAnswer {
  readonly status: number;
  /** An object is sent as JSON. */
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function dataAnswer(data: unknown, headers?: Readonly<Record<string, string>>): DirectusAnswer {
  return { status: 200, body: { data }, ...(headers === undefined ? {} : { headers }) };
}

function errorAnswer(
  status: number,
  code: string,
  message: string,
  extensions: Readonly<Record<string, unknown>> = {},
): DirectusAnswer {
  return { status, body: { errors: [{ message, extensions: { ...extensions, code } }] } };
}

/** No cookie, garbage, or a wrong password. */
export const invalidCredentials = errorAnswer(401, 'INVALID_CREDENTIALS', 'Invalid user credentials.');
export const tokenExpired = errorAnswer(401, 'TOKEN_EXPIRED', 'Token expired.');
/** The refresh of a suspended user. */
export const userSuspended = errorAnswer(401, 'USER_SUSPENDED', 'User suspended.');
/** Signed by another key: 403, not 401. */
export const invalidToken = errorAnswer(403, 'INVALID_TOKEN', 'Invalid token.');
/** The same for an item that is forbidden, missing or malformed; never 404. */
export const forbidden = errorAnswer(403, 'FORBIDDEN', "You don't have permission to access this.");
/** 12 without a licence has no row rules. */
export const resourceRestricted = errorAnswer(403, 'RESOURCE_RESTRICTED', 'Resource is restricted.');
export const underPressure = errorAnswer(
  503,
  'SERVICE_UNAVAILABLE',
  'Service "api" is unavailable. Under pressure.',
  { service: 'api', reason: 'Under pressure' },
);
export const internalError = errorAnswer(500, 'INTERNAL_SERVER_ERROR', 'An unexpected error occurred.');

export function routeNotFound(path: string): DirectusAnswer {
  return errorAnswer(404, 'ROUTE_NOT_FOUND', `Route ${path} doesn't exist.`, { path });
}

export function invalidPayload(reason: string): DirectusAnswer {
  return errorAnswer(400, 'INVALID_PAYLOAD', `Invalid payload. ${reason}.`, { reason });
}

export function tooManyRequests(retryAfterS: number): DirectusAnswer {
  const body = errorAnswer(429, 'REQUESTS_EXCEEDED', `Too many requests, retry after ${retryAfterS}s.`, {
    limit: 50,
    reset: new Date(Date.now() + retryAfterS * 1000).toISOString(),
  });
  return { ...body, headers: { 'Retry-After': String(retryAfterS) } };
}
