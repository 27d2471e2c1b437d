import { messageOf } from '@app/runtime/message-of';

/** Directus answered with an error, or not at all. */
export class DirectusRefusal extends Error {
  override readonly name = 'DirectusRefusal';
  /** `errors[0].extensions.code`, if it answered. */
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Sends a request and returns `data` of the response; undefined if there is none. @throws {DirectusRefusal} */
export type DirectusApi = (
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
) => Promise<unknown>;

export function connectDirectus(baseUrl: string, token: string): DirectusApi {
  return async (method, path, body) => {
    const isForm = body instanceof FormData;
    const url = `${baseUrl}${path}`;
    const response = await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && !isForm && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: isForm ? body : JSON.stringify(body) }),
    }).catch((error: unknown) => {
      throw new DirectusRefusal(
        `${baseUrl} does not answer (${messageOf(error)}); check DIRECTUS_BASE_URL`,
        undefined,
        { cause: error },
      );
    });
    const text = await response.text();
    const json = parseJson(text);
    if (response.ok) return field(json, 'data');
    const errors = field(json, 'errors');
    const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
    const code = field(field(first, 'extensions'), 'code');
    const message = field(first, 'message');
    throw new DirectusRefusal(
      `${method} ${path}: HTTP ${response.status} ${typeof message === 'string' ? message : ''}`,
      typeof code === 'string' ? code : undefined,
    );
  };
}

/** A field of an object; undefined for anything else. */
export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
