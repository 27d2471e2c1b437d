import { z } from 'zod';

/** What a setting's schema says about itself, for problem texts and the documentation. */
export interface SettingMeta {
  readonly description?: string | undefined;
  /** What a value must be, completing "must be …". */
  readonly expected?: string | undefined;
  /** As it is written in the environment. */
  readonly example?: string | undefined;
  readonly unit?: string | undefined;
  readonly secret?: boolean | undefined;
}

/** Marks a setting whose value is never printed and which may come from a file (`NAME_FILE`). */
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

/** A whole number in decimal digits, from `min` (0 unless given) to `max`. */
export function wholeNumber(
  options: { readonly min?: number; readonly max?: number; readonly unit?: string } = {},
) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER, unit } = options;
  const bounds = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `from ${min} to ${max}`;
  return z
    .string()
    .regex(/^(?:0|-?[1-9]\d{0,15})$/u)
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

/** Whole milliseconds; at most what a timer of Node can wait (24 days), unless a bound is given. */
export function durationMs(options: { readonly min?: number; readonly max?: number } = {}) {
  return wholeNumber({ min: 0, max: 2 ** 31 - 1, ...options, unit: 'milliseconds' });
}

/** A size in bytes. */
export function byteCount(options: { readonly min?: number; readonly max?: number } = {}) {
  return wholeNumber({ min: 1, ...options, unit: 'bytes' });
}

/** A TCP port to listen on; 0 lets the system choose a free one. */
export function port() {
  return wholeNumber({ min: 0, max: 65_535 });
}

/** A text without control characters, 1 to `maxLength` characters long. */
export function string(options: { readonly maxLength?: number } = {}) {
  const { maxLength = 1_024 } = options;
  return z
    .string()
    .min(1)
    .max(maxLength)
    .regex(/^\P{Cc}*$/u)
    .meta({ expected: `a text of 1 to ${maxLength} characters without control characters` });
}

/** A name for keys and labels; braces, because Redis Cluster takes the part inside them for the slot. */
export function name(options: { readonly maxLength?: number } = {}) {
  const { maxLength = 64 } = options;
  return z
    .string()
    .max(maxLength)
    .regex(/^[\w.:{}-]+$/u)
    .meta({ expected: `1 to ${maxLength} letters, digits or characters of _ . : { } -` });
}

/** An on/off switch. */
export function flag() {
  return z
    .string()
    .toLowerCase()
    .pipe(z.enum(['on', 'off', 'true', 'false', '1', '0', 'yes', 'no']))
    .transform((word) => ['on', 'true', '1', 'yes'].includes(word))
    .meta({ expected: 'on or off', example: 'on' });
}

/** One of the given words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words).meta({ expected: `one of ${words.join(', ')}`, example: words[0] });
}

/** An absolute URL with one of the protocols, such as `redis:`; stays the text that was given. */
export function urlOf(...protocols: readonly string[]) {
  return z
    .string()
    .refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol))
    .meta({
      expected: `a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    });
}

/** `host:port`, an IPv6 address in brackets. */
export function hostPort() {
  return z
    .string()
    .transform((value) => {
      const parts = /^(?:\[(?<address>[0-9a-f:.]+)\]|(?<host>[\w.-]+)):(?<port>\d{1,5})$/iu.exec(
        value,
      )?.groups;
      return { host: parts?.['address'] ?? parts?.['host'] ?? '', port: Number(parts?.['port']) };
    })
    .refine(({ host, port: number }) => host !== '' && number >= 1 && number <= 65_535)
    .meta({ expected: 'host:port', example: 'localhost:6379' });
}

/** Items separated by commas: none empty, none twice, spaces around them dropped. */
export function commaList(item: z.ZodType<string, string>) {
  return z
    .string()
    .transform((value): readonly string[] => value.split(',').map((part) => part.trim()))
    .refine(
      (items) => items.every((part) => item.safeParse(part).success) && new Set(items).size === items.length,
    )
    .meta({
      expected: `a comma-separated list without repetition, each ${settingMeta(item).expected ?? 'valid'}`,
    });
}
