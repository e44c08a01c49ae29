/**
 * `--trace`: where the time of a run went, as a file that chrome://tracing and https://ui.perfetto.dev show. The format is the "Trace Event
 * Format" of Chromium: complete events (`ph: X`), times in microseconds.
 */
import { writeFileSync } from "node:fs";
import type { ProgressLine } from "../api/types/progress.ts";
import { BangerError } from "../model/errors.ts";

interface Span {
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Times are the process's own: 0 is its start. */
export class RunTrace {
  readonly #spans: Span[] = [];
  readonly #begun = new Map<string, number>();
  readonly #now: () => number;
  #phase: { readonly name: string; readonly fromMs: number };

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#phase = { name: "command line", fromMs: 0 };
  }

  /** What came before has ended, and `name` begins. */
  phase(name: string): void {
    const now = this.#now();
    this.#spans.push({ name: this.#phase.name, fromMs: this.#phase.fromMs, toMs: now });
    this.#phase = { name, fromMs: now };
  }

  /** A stage of the daemon's. */
  onProgress(line: ProgressLine): void {
    if (line.event === "begin") this.#begun.set(line.stage, this.#now());
    if (line.event !== "end") return;
    const toMs = this.#now();
    // How long it took is the daemon's word; when it ended, ours.
    const fromMs = Math.min(this.#begun.get(line.stage) ?? toMs, toMs - line.ms);
    this.#spans.push({ name: line.stage, fromMs, toMs });
  }

  /** The whole, as text. Ends the last phase. */
  render(): string {
    this.phase("end");
    const traceEvents = this.#spans
      .toSorted((a, b) => a.fromMs - b.fromMs || b.toMs - a.toMs)
      .map(({ name, fromMs, toMs }) => ({
        name,
        ph: "X",
        ts: Math.round(fromMs * 1000),
        dur: Math.round((toMs - fromMs) * 1000),
        pid: 1,
        tid: 1,
      }));
    return `${JSON.stringify({ traceEvents, displayTimeUnit: "ms" })}\n`;
  }

  /** Errors: those of the file system, naming the file. */
  write(path: string): void {
    try {
      writeFileSync(path, this.render());
    } catch (cause) {
      const error = BangerError.from(cause);
      throw new BangerError(error.code, `the trace ${path} cannot be written: ${error.message}`, { cause });
    }
  }
}
