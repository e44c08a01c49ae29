import { expect, test } from "bun:test";
import { RunTrace } from "./trace.ts";

test("RunTrace has phases one after the other and the daemon's stages inside them, in microseconds", () => {
  let now = 0;
  const trace = new RunTrace(() => now);
  now = 20;
  trace.phase("start");
  now = 21;
  trace.onProgress({ event: "begin", stage: "resume" });
  now = 81.5;
  trace.onProgress({ event: "note", text: "…" });
  trace.onProgress({ event: "end", stage: "resume", ms: 60 });
  now = 90;
  trace.phase("command");
  now = 140;
  expect(JSON.parse(trace.render())).toEqual({
    displayTimeUnit: "ms",
    traceEvents: [
      { name: "command line", ph: "X", ts: 0, dur: 20_000, pid: 1, tid: 1 },
      { name: "start", ph: "X", ts: 20_000, dur: 70_000, pid: 1, tid: 1 },
      { name: "resume", ph: "X", ts: 21_000, dur: 60_500, pid: 1, tid: 1 },
      { name: "command", ph: "X", ts: 90_000, dur: 50_000, pid: 1, tid: 1 },
    ],
  });
});
