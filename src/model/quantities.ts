/** Sizes and durations as people write them, parsed into units that stand in the names. */
import { BangerError } from "./errors.ts";
import { quote } from "./names.ts";

const MIB = 1024 * 1024;
const SIZE_UNITS: Readonly<Record<string, number>> = { k: 1024, m: MIB, g: 1024 * MIB, t: 1024 * 1024 * MIB };
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Parses `512M`, `4G`, `4GiB`, `1.5G`; a bare number is MiB. Units are powers of 1024 whichever way they are written.
 * `field` names the flag in the error. Errors: `invalid_argument` for anything else, zero, negative or above 1 PiB.
 */
export function parseSizeBytes(text: string, field: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*(?:([kmgt])(?:i?b)?)?$/i.exec(text.trim());
  const unit = match?.[2] === undefined ? MIB : SIZE_UNITS[match[2].toLowerCase()];
  const bytes =
    match?.[1] === undefined || unit === undefined ? Number.NaN : Math.round(Number(match[1]) * unit);
  if (Number.isFinite(bytes) && bytes > 0 && bytes <= 2 ** 50) return bytes;
  throw new BangerError("invalid_argument", `${field} ${quote(text)} is not a size`, {
    cure: "write a number above zero with a unit, such as 512M or 4G",
    details: { field },
  });
}

/** As `parseSizeBytes`, in whole MiB rounded up. */
export function parseSizeMib(text: string, field: string): number {
  return Math.ceil(parseSizeBytes(text, field) / MIB);
}

/** Parses `500ms`, `30s`, `5m`, `2h`, `1d`; a bare number is seconds. Errors: `invalid_argument`, also above 365 days. */
export function parseDurationMs(text: string, field: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?$/.exec(text.trim());
  const unit = DURATION_UNITS[match?.[2] ?? "s"];
  const ms =
    match?.[1] === undefined || unit === undefined ? Number.NaN : Math.round(Number(match[1]) * unit);
  if (Number.isFinite(ms) && ms > 0 && ms <= 365 * 86_400_000) return ms;
  throw new BangerError("invalid_argument", `${field} ${quote(text)} is not a duration`, {
    cure: "write a number above zero with a unit, such as 30s or 5m",
    details: { field },
  });
}

/** Parses a whole number in `min..max`. Errors: `invalid_argument`. */
export function parseWholeNumber(text: string, field: string, range: { min: number; max: number }): number {
  const value = /^-?\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (value >= range.min && value <= range.max) return value;
  throw new BangerError(
    "invalid_argument",
    `${field} ${quote(text)} is not a number from ${range.min} to ${range.max}`,
    {
      details: { field },
    },
  );
}

/** `87.3 MB`-like text in binary units: `512 MiB`, `4 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let index = 0;
  while (value >= 1024 && index < units.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${units[index] ?? "B"}`;
}

/** `850 ms`, `4.3 s`, `12 min`, `3 h`, `2 d`. */
export function formatDurationMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} d`;
}
