/** What is said about a step that is traced. Never a position, a cookie or a whole IMEI. */
export interface SpanOptions {
  readonly name: string;
  /** `consumer` handles messages, `client` asks another service. */
  readonly kind: 'consumer' | 'client';
  readonly attributes: Readonly<Record<string, string | number>>;
  /** The spans that sent what this step handles; a step that has any is always recorded. */
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
}

/** Runs a step, at once, and records how long it took and whether it failed; settles as the step does. */
export type TraceStep = <T>(words: SpanOptions, step: () => Promise<T>) => Promise<T>;

export interface Tracing extends AsyncDisposable {
  /** Undefined where nothing is traced: then nothing about it is loaded, asked or kept. */
  readonly trace: TraceStep | undefined;
}
