import { expect, test } from "bun:test";
import { stopTimeMs } from "./stop-time.ts";

test("stopTimeMs() gives a guest that has to end an init and its services more time", () => {
  const [init, other] = [{ cmd: ["/sbin/init"] }, { cmd: ["nginx"] }];
  expect(stopTimeMs(undefined, other)).toBe(10_000);
  expect(stopTimeMs(undefined, init)).toBe(90_000);
  expect(stopTimeMs("systemd", other)).toBe(90_000);
  expect(stopTimeMs("agent", init)).toBe(10_000);
});
