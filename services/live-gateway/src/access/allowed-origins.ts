/** Which pages may open a connection: the browser sends the cookie whoever's page asks, so the page's origin must be one of ours. */
export interface AllowedOrigins {
  readonly origins: readonly string[];
  /** Programs send no Origin; every browser does. */
  readonly allowMissing: boolean;
}

/** The word in `LIVE_ALLOWED_ORIGINS` that lets clients without an Origin header in. */
const missingOriginWord = 'none';

/**
 * Reads `https://live.example.org,https://ops.example.org,none`.
 * @returns the problem as a text if an entry is no origin, exactly as a browser would send it.
 */
export function parseAllowedOrigins(text: string): AllowedOrigins | string {
  const entries = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  if (entries.length === 0) return `name at least one origin, or the word ${missingOriginWord}`;
  const origins = entries.filter((entry) => entry !== missingOriginWord);
  // '*' would let any page use a visitor's session; 'null' is what any sandboxed frame sends.
  const wrong = origins.find((entry) => !isOrigin(entry));
  if (wrong !== undefined) {
    return `${JSON.stringify(wrong)} is no origin: write scheme, host and port as a browser sends them, such as https://live.example.org`;
  }
  return { origins, allowMissing: origins.length < entries.length };
}

export function isAllowedOrigin(origin: string, allowed: AllowedOrigins): boolean {
  return origin === '' ? allowed.allowMissing : allowed.origins.includes(origin);
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && /^https?:/.test(text) && new URL(text).origin === text;
}
