/** Keeps the last lines of a byte stream in bounded memory, and calls back for each complete line. */

const TAIL_BYTES = 4096;

export class LineTail {
  private readonly decoder = new TextDecoder();
  private readonly onLine: ((line: string) => void) | undefined;
  private kept = "";
  private partial = "";

  constructor(onLine?: (line: string) => void) {
    this.onLine = onLine;
  }

  push(chunk: Uint8Array): void {
    this.take(this.decoder.decode(chunk, { stream: true }));
  }

  /** The last lines, at most 4 KiB, without a final newline. The stream is over. */
  end(): string {
    this.take(this.decoder.decode());
    if (this.partial !== "") this.onLine?.(this.partial);
    this.partial = "";
    return this.kept.trimEnd();
  }

  private take(text: string): void {
    this.kept += text;
    if (this.kept.length > TAIL_BYTES) {
      const cut = this.kept.slice(-TAIL_BYTES);
      const lineEnd = cut.indexOf("\n");
      // Begin with a whole line where there is one.
      this.kept = lineEnd === -1 || lineEnd === cut.length - 1 ? cut : cut.slice(lineEnd + 1);
    }
    if (this.onLine === undefined) return;
    const lines = (this.partial + text).split("\n");
    this.partial = (lines.pop() ?? "").slice(-TAIL_BYTES);
    for (const line of lines) this.onLine(line);
  }
}
