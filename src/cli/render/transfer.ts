/** How far a copy has come: one live line on a terminal, nothing elsewhere. */
import { formatBytes } from "../../model/quantities.ts";
import { stderr } from "../output.ts";

const REFRESH_MS = 200;

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
function describeTransfer(bytes: number, whole: number | undefined, ms: number): string {
  const speed = `${formatBytes((bytes / Math.max(ms, 1)) * 1000)}/s`;
  if (whole === undefined || whole === 0) return `${formatBytes(bytes)}, ${speed}`;
  return `${formatBytes(bytes)} of ${formatBytes(whole)}, ${Math.floor((bytes / whole) * 100)} %, ${speed}`;
}
