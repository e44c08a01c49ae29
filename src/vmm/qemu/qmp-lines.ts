/** Cuts a QMP stream into its lines. A line has a hard limit, so that a broken peer cannot make us hoard memory. */
import { BangerError } from "../../model/errors.ts";

/** The longest line accepted, in bytes; QEMU's own replies to our commands stay far below. */
export const MAX_QMP_LINE_BYTES: number = 1024 * 1024;

export class QmpLines {
  private readonly parts: Uint8Array[] = [];
  private size = 0;

  /** Takes the next bytes; returns the lines they complete, without their ends. Errors: `internal` (a line too long). */
  push(chunk: Uint8Array): readonly string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      this.keep(chunk.subarray(start, end));
      lines.push(this.take());
      start = end + 1;
    }
    this.keep(chunk.subarray(start));
    return lines;
  }

  private keep(part: Uint8Array): void {
    this.size += part.byteLength;
    if (this.size > MAX_QMP_LINE_BYTES) {
      throw new BangerError("internal", `QMP sent a line of more than ${MAX_QMP_LINE_BYTES} bytes`);
    }
    if (part.byteLength > 0) this.parts.push(part);
  }

  private take(): string {
    const line = Buffer.concat(this.parts).toString("utf8").trimEnd();
    this.parts.length = 0;
    this.size = 0;
    return line;
  }
}
