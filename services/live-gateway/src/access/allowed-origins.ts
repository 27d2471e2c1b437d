/**
 * The origins whose pages may connect. Browsers send the session cookie with the upgrade request of any page, so the
 * origin is the only protection against foreign pages.
 */
export interface AllowedOrigins {
  readonly origins: readonly string[];
  /** Whether requests without an Origin are accepted: programs send none, browsers always do. */
  readonly allowMissing: boolean;
}

/** The entry of `LIVE_ALLOWED_ORIGINS` that allows requests without an Origin header. */
const missingOriginEntry = 'none';

/**
 * Reads `https://live.example.org,https://ops.example.org,none`.
 * @returns an error message if an entry is not an origin as a browser sends it.
 */
export function parseAllowedOrigins(value: string): AllowedOrigins | string {
  const entries = value
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  if (entries.length === 0) return `must contain at least one origin, or ${missingOriginEntry}`;
  const origins = entries.filter((entry) => entry !== missingOriginEntry);
  // '*' would let any page use a user's session; 'null' is the origin of every sandboxed frame.
  const wrong = origins.find((entry) => !isOrigin(entry));
  if (wrong !== undefined) {
    return `${JSON.stringify(wrong)} is not an origin: expected scheme, host and port as a browser sends them, such as https://live.example.org or capacitor://localhost`;
  }
  return { origins, allowMissing: origins.length < entries.length };
}

export function isAllowedOrigin(origin: string, allowed: AllowedOrigins): boolean {
  return origin === '' ? allowed.allowMissing : allowed.origins.includes(origin);
}

/**
 * Schemes of apps, such as `capacitor://localhost`: their origins are matched exactly, but are opaque to `URL`. Not those
 * of pages, which are never sent so (`file`), or of a WebSocket (`ws`, `wss`).
 */
const appOrigin = /^(?!(?:file|wss?|ftp):)[a-z][a-z0-9+.-]*:\/\/[\w.-]+(?::\d{1,5})?$/;

function isOrigin(value: string): boolean {
  if (!/^https?:/.test(value)) return appOrigin.test(value);
  return URL.canParse(value) && new URL(value).origin === value;
}
