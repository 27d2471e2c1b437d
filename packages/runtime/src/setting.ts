import { z } from 'zod';

/** Metadata of a setting, for error messages and the documentation. */
export interface SettingMeta {
  readonly description?: string | undefined;
  /** What a value must be, completing "must be …". */
  readonly expected?: string | undefined;
  /** As written in the environment. */
  readonly example?: string | undefined;
  readonly unit?: string | undefined;
  readonly secret?: boolean | undefined;
}

/** Marks a setting that is never printed and that may be read from a file (`NAME_FILE`). */
export function secret<T extends z.ZodType>(setting: T): T {
  return setting.meta({ ...settingMeta(setting), secret: true });
}

/** The metadata of a setting, through `.default()`, `.optional()`, pipes and refinements; the outermost wins. */
export function settingMeta(setting: z.core.$ZodType): SettingMeta {
  const { def } = setting._zod;
  const inner =
    'innerType' in def && def.innerType instanceof z.core.$ZodType
      ? settingMeta(def.innerType)
      : 'in' in def && def.in instanceof z.core.$ZodType
        ? settingMeta(def.in)
        : {};
  const { id: _id, ...own } = z.globalRegistry.get(setting) ?? {};
  return { ...inner, ...own };
}

/** A whole number in decimal digits, from `min` (0 or more) to `max`. */
export function wholeNumber(options: {
  readonly min: number;
  readonly max?: number;
  readonly unit?: string;
}) {
  const { min, max = Number.MAX_SAFE_INTEGER, unit } = options;
  const bounds = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `from ${min} to ${max}`;
  return z
    .string()
    .regex(/^(?:0|[1-9]\d{0,15})$/u)
    .transform(Number)
    .refine((value) => Number.isSafeInteger(value) && value >= min && value <= max)
    .meta({
      expected: `a whole number${unit === undefined ? '' : ` of ${unit}`}, ${bounds}`,
      ...(unit !== undefined && { unit }),
    });
}

/** A count of at least 1. */
export function positiveInt(options: { readonly max?: number } = {}) {
  return wholeNumber({ min: 1, ...options });
}

/** Whole milliseconds; by default at most the longest timer of Node (24 days). */
export function durationMs(options: { readonly min?: number; readonly max?: number } = {}) {
  return wholeNumber({ min: 0, max: 2 ** 31 - 1, ...options, unit: 'milliseconds' });
}

/** A size in bytes. */
export function byteCount(options: { readonly min?: number; readonly max?: number } = {}) {
  return wholeNumber({ min: 1, ...options, unit: 'bytes' });
}

/** A TCP port to listen on; 0 picks a free one. */
export function port() {
  return wholeNumber({ min: 0, max: 65_535 });
}

/** A string of 1 to `maxLength` characters without control characters. */
export function string(options: { readonly maxLength?: number } = {}) {
  const { maxLength = 1_024 } = options;
  return z
    .string()
    .min(1)
    .max(maxLength)
    .regex(/^\P{Cc}*$/u)
    .meta({ expected: `a string of 1 to ${maxLength} characters without control characters` });
}

/** A name for keys and labels. Braces are allowed for Redis Cluster hash tags. */
export function name(options: { readonly maxLength?: number } = {}) {
  const { maxLength = 64 } = options;
  return z
    .string()
    .max(maxLength)
    .regex(/^[\w.:{}-]+$/u)
    .meta({ expected: `1 to ${maxLength} letters, digits or characters of _ . : { } -` });
}

/** One of the given values. */
export function oneOf<const Values extends readonly [string, ...string[]]>(values: Values) {
  return z.enum(values).meta({ expected: `one of ${values.join(', ')}`, example: values[0] });
}

/** An absolute URL with one of the protocols, such as `redis:`, as a string. */
export function urlOf(...protocols: readonly string[]) {
  return z
    .string()
    .refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol))
    .meta({
      expected: `a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    });
}

/** Comma-separated items, trimmed; empty and repeated items are rejected. */
export function commaList(item: z.ZodType<string, string>) {
  return z
    .string()
    .transform((value): readonly string[] => value.split(',').map((part) => part.trim()))
    .refine(
      (items) => items.every((part) => item.safeParse(part).success) && new Set(items).size === items.length,
    )
    .meta({
      expected: `a comma-separated list without duplicates, each ${settingMeta(item).expected ?? 'valid'}`,
    });
}
