/** The kinds of values that the configuration holds: how each is read from text and from TOML, and how it is shown. */
import { quote } from "./names.ts";
import { parseDurationMs, parseSizeBytes, parseSizeMib } from "./quantities.ts";

/** A value as a person writes it: what TOML and JSON both have. */
export type ConfigScalar = string | number;

interface Range {
  readonly min: number;
  readonly max: number;
}

/** What is wrong inside a value of several parts: at which of them, and the rest of a sentence about it. */
export interface Fault {
  readonly at: readonly string[];
  readonly what: string;
}

/** `undefined` from `parse` and `fromToml` means: not allowed. `show` is their inverse. */
export interface Kind<T> {
  /** What is allowed, to follow "must be". */
  readonly allowed: string;
  parse(text: string): { readonly value: T } | undefined;
  fromToml(value: unknown): { readonly value: T } | undefined;
  show(value: T): ConfigScalar;
  /** For a kind of several parts: the part of a TOML value that makes `fromToml` refuse it, where it is only one. */
  fault?(value: unknown): Fault | undefined;
}

export function oneOf<T extends string>(choices: readonly T[]): Kind<T> {
  return text(`one of ${choices.map(quote).join(", ")}`, (given) =>
    choices.find((choice) => choice === given),
  );
}

/** A text that a rule of the model accepts; the rule returns it or throws. */
export function ruled(allowed: string, rule: (text: string) => string): Kind<string> {
  return text(allowed, (given) => attempt(() => rule(given)));
}

export function wholeNumber(range: Range): Kind<number> {
  const check = (value: unknown): { value: number } | undefined =>
    typeof value === "number" && Number.isInteger(value) && within(range, value) ? { value } : undefined;
  return {
    allowed: `a whole number from ${range.min} to ${range.max}`,
    parse: (given) => check(/^\d{1,9}$/.test(given.trim()) ? Number(given) : undefined),
    fromToml: check,
    show: (value) => value,
  };
}

/** A size in whole MiB. A bare number is MiB. */
export function sizeMib(range: Range): Kind<number> {
  return quantity({
    allowed: `a size from ${showMib(range.min)} to ${showMib(range.max)}, such as "4G"`,
    range,
    parse: (given) => parseSizeMib(given, "size"),
    show: showMib,
  });
}

/** Bytes per second, in whole KiB. A bare number is MiB per second. */
export function bytesPerSecond(range: Range): Kind<number> {
  return quantity({
    allowed: `a size per second from ${showBytes(range.min)} to ${showBytes(range.max)}, such as "200M"`,
    range,
    parse: (given) => Math.floor(parseSizeBytes(given, "rate") / KIB) * KIB,
    show: showBytes,
  });
}

/** A duration in milliseconds. A bare number is seconds. */
export function durationMs(range: Range): Kind<number> {
  return quantity({
    allowed: `a duration from ${showMs(range.min)} to ${showMs(range.max)}, such as "30s"`,
    range,
    parse: (given) => parseDurationMs(given, "duration"),
    show: showMs,
  });
}

/** What `kind` allows, or the word, such as `never`, which is undefined. */
export function orWord<T>(word: string, kind: Kind<T>): Kind<T | undefined> {
  return {
    allowed: `${kind.allowed}, or ${quote(word)}`,
    parse: (given) => (given.trim() === word ? { value: undefined } : kind.parse(given)),
    fromToml: (value) => (value === word ? { value: undefined } : kind.fromToml(value)),
    show: (value) => (value === undefined ? word : kind.show(value)),
  };
}

function text<T extends string>(allowed: string, read: (text: string) => T | undefined): Kind<T> {
  const parse = (given: string): { value: T } | undefined => {
    const value = read(given);
    return value === undefined ? undefined : { value };
  };
  return {
    allowed,
    parse,
    fromToml: (value) => (typeof value === "string" ? parse(value) : undefined),
    show: (value) => value,
  };
}

function quantity(options: {
  readonly allowed: string;
  readonly range: Range;
  readonly parse: (text: string) => number;
  readonly show: (value: number) => string;
}): Kind<number> {
  const parse = (given: string): { value: number } | undefined => {
    const value = attempt(() => options.parse(given));
    return value !== undefined && within(options.range, value) ? { value } : undefined;
  };
  return {
    allowed: options.allowed,
    parse,
    fromToml: (value) =>
      typeof value === "string" || typeof value === "number" ? parse(String(value)) : undefined,
    show: options.show,
  };
}

/** The rules of the model throw; here a refusal is an answer, and `allowed` says more than their words. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    // What was wrong with it is said by whoever knows which key it was for.
    return undefined;
  }
}

function within(range: Range, value: number): boolean {
  return value >= range.min && value <= range.max;
}

const KIB = 1024;
const MIB_UNITS = [
  ["T", 1024 * 1024],
  ["G", 1024],
] as const;
const BYTE_UNITS = [
  ["T", KIB ** 4],
  ["G", KIB ** 3],
  ["M", KIB ** 2],
] as const;
const MS_UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const;

function showMib(mib: number): string {
  return showExactly(mib, MIB_UNITS) ?? `${mib}M`;
}

function showBytes(bytes: number): string {
  return showExactly(bytes, BYTE_UNITS) ?? `${bytes / KIB}K`;
}

function showMs(ms: number): string {
  return showExactly(ms, MS_UNITS) ?? `${ms}ms`;
}

/** In the largest unit that needs no fraction. */
function showExactly(value: number, units: readonly (readonly [string, number])[]): string | undefined {
  const unit = units.find(([, size]) => value % size === 0);
  return unit === undefined ? undefined : `${value / unit[1]}${unit[0]}`;
}
