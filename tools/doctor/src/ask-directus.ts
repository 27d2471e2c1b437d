import type { DirectusReply } from '@app/live-gateway/access/call-directus';
import { messageOf } from '@app/runtime/message-of';

const timeoutMs = 5_000;

/** Who asks: headers with a session or a token, or none. */
export type Credentials = Readonly<Record<string, string>>;

export type Answer =
  | (Extract<DirectusReply, { readonly answered: true }> & {
      readonly text: string;
      readonly date: string | null;
    })
  | { readonly answered: false; readonly problem: string };

/** GET to Directus. A page in place of JSON has an undefined body. */
export async function askDirectus(
  baseUrl: string,
  path: string,
  credentials: Credentials = {},
): Promise<Answer> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${baseUrl}${path}`, {
      headers: { ...credentials, accept: 'application/json' },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    text = await response.text();
  } catch (error) {
    return { answered: false, problem: messageOf(error) };
  }
  const body = parseJson(text);
  const errorCode = readErrorCode(body);
  return {
    answered: true,
    status: response.status,
    body,
    text,
    date: response.headers.get('date'),
    ...(errorCode !== undefined && { errorCode }),
  };
}

/** Its status and the code of its error, for a finding. */
export function describeAnswer(answer: Answer): string {
  if (!answer.answered) return `no answer (${answer.problem})`;
  return `HTTP ${answer.status}${answer.errorCode === undefined ? '' : ` ${answer.errorCode}`}`;
}

function readErrorCode(body: unknown): string | undefined {
  const errors = field(body, 'errors');
  const code = Array.isArray(errors) ? field(field(errors[0], 'extensions'), 'code') : undefined;
  return typeof code === 'string' ? code : undefined;
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
