/** The stub's diary: one line of JSON an event, appended in one write, so that several processes can share the file. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { StubEvent, StubRecord } from "./plan.ts";

export type Recorder = (event: StubEvent) => void;

export function createRecorder(path: string, pid: number = process.pid): Recorder {
  return (event) => {
    const record: StubRecord = { ...event, atMs: nowMs(), pid };
    appendFileSync(path, `${JSON.stringify(record)}\n`);
  };
}

export function readRecords(path: string): StubRecord[] {
  if (!existsSync(path)) return [];
  // A process that was killed in the middle of its write leaves a line without an end.
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line): StubRecord => JSON.parse(line));
}

/** Comparable between processes. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
