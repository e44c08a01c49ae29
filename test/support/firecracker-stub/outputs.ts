/** Where the program writes: its log and its metrics, and the guest's serial port. */
import { constants, openSync, writeSync } from "node:fs";

const STDOUT = 1;

export class Outputs {
  private readonly id: string;
  private logFd = STDOUT;
  private serialFd = STDOUT;
  private metricsFd: number | undefined;

  constructor(id: string) {
    this.id = id;
  }

  logTo(path: string): void {
    this.logFd = openForWriting(path);
  }

  serialTo(path: string): void {
    this.serialFd = openForWriting(path);
  }

  /** False when that was done before. */
  metricsTo(path: string): boolean {
    if (this.metricsFd !== undefined) return false;
    this.metricsFd = openForWriting(path);
    return true;
  }

  log(text: string): void {
    // Nanoseconds in the original.
    const time = new Date().toISOString().replace("Z", "000000");
    writeSync(this.logFd, `${time} [${this.id}:main] ${text}\n`);
  }

  serial(text: string): void {
    writeSync(this.serialFd, text);
  }

  flushMetrics(): void {
    if (this.metricsFd !== undefined)
      writeSync(this.metricsFd, `${JSON.stringify({ utc_timestamp_ms: Date.now() })}\n`);
  }
}

/** Made when it is not there; written from its start, nothing cut off; a pipe may be without a reader for now. */
function openForWriting(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK, 0o644);
}
