/** The end of a daemon that cannot end as it should. */
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { createFaultHome, startDaemon } from "./daemon-process.ts";

test("a daemon whose end goes wrong ends all the same, says so, and lets go of its lock", async () => {
  await using home = await createFaultHome();
  const { socket, daemonLog } = home.layout;
  await using daemon = await startDaemon(home);
  const { pid } = await daemon.client.daemonStatus();
  // What it cannot remove as it removes a socket.
  rmSync(socket);
  mkdirSync(socket);
  process.kill(pid, "SIGTERM");
  expect(await daemon.ended).toBe(1);
  const log = readFileSync(daemonLog, "utf8");
  expect(log).toContain("the socket could not be ended as it should");
  rmSync(socket, { recursive: true });
  await using next = await startDaemon(home);
  expect(next.greeting).toBe("ready");
  process.kill((await next.client.daemonStatus()).pid, "SIGTERM");
  expect(await next.ended).toBe(0);
});
