/** The SSH door with the host's own ssh, and a guest that plays on this host. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { runBanger } from "../support/real-home.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
let config: string;
beforeAll(async () => {
  daemon = await createTestDaemon();
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" });
  const printed = await runBanger(daemon.home, ["ssh-config"]);
  expect(printed).toMatchObject({ code: 0, stderr: "" });
  config = join(daemon.home, "ssh-config");
  writeFileSync(config, printed.stdout);
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

test("-R 0 takes a free port of the guest, and connections to it reach this host", async () => {
  const server = createServer((socket) => void socket.end("from here"));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  // ssh takes two that are the same for one.
  const remote = ["127.0.0.1", "localhost"].flatMap((host) => ["-R", `0:${host}:${port}`]);
  const ssh = Bun.spawn(["ssh", "-F", config, "-N", ...remote, "web.vm"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  try {
    for (const allocated of await allocatedPorts(ssh.stderr, 2)) {
      expect(await heardFrom(allocated)).toBe("from here");
    }
  } finally {
    ssh.kill();
    await ssh.exited;
    server.close();
  }
});

/** What ssh says of `-R 0`. */
async function allocatedPorts(stderr: ReadableStream<Uint8Array>, count: number): Promise<number[]> {
  let text = "";
  for await (const piece of stderr) {
    text += Buffer.from(piece).toString();
    const found = [...text.matchAll(/^Allocated port (\d+) /gm)].map(([, digits]) => Number(digits));
    if (found.length === count) return found;
  }
  throw new Error(`ssh allocated no ports: ${text}`);
}

async function heardFrom(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const pieces: Buffer[] = [];
  for await (const piece of socket) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}
