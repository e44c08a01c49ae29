/** How far a copy has come: one live line on a terminal, nothing elsewhere. */
import { stderr } from "../output.ts";

const REFRESH_MS = 200;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export interface TransferView extends Disposable {
  add(bytes: number): void;
  total(bytes: number): void;
}

/** Shows on stderr when that is a terminal. Disposing clears the line. */
export function createTransferView(): TransferView {
  const stream = process.stderr.isTTY ? stderr() : undefined;
  let bytes = 0;
  let whole: number | undefined;
  let drawn = 0;
  const since = performance.now();
  return {
    add(more) {
      bytes += more;
      const now = performance.now();
      if (stream === undefined || now - drawn < REFRESH_MS) return;
      drawn = now;
      stream.write(`\r\u001b[K${describeTransfer(bytes, whole, now - since)}`);
    },
    total(total) {
      whole = total;
    },
    [Symbol.dispose]() {
      if (drawn > 0) stream?.write("\r\u001b[K");
    },
  };
}

/** `12 MiB of 256 MiB, 5 %, 30 MiB/s`. */
export function describeTransfer(bytes: number, whole: number | undefined, ms: number): string {
  const speed = `${formatBytes((bytes / Math.max(ms, 1)) * 1000)}/s`;
  if (whole === undefined || whole === 0) return `${formatBytes(bytes)}, ${speed}`;
  return `${formatBytes(bytes)} of ${formatBytes(whole)}, ${Math.floor((bytes / whole) * 100)} %, ${speed}`;
}

function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value >= 10 || power === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[power] ?? ""}`;
}
