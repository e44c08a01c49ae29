import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { createTestMachine } from "../contract/bench.ts";
import { type ContractSubject, driverContract } from "../contract.ts";
import { createFakeDriver } from "./driver.ts";
import { agentProgram } from "./programs.ts";

const target = join(import.meta.dir, "../../../agent/target");
const agent = ["x86_64-unknown-linux-gnu/release", "release"]
  .map((folder) => join(target, folder, "banger-agent"))
  .find((path) => existsSync(path));

if (agent === undefined)
  console.warn(`skipped: the fake with the real agent, for want of a build in ${target}`);
else driverContract(subjectFor(agent));

function subjectFor(path: string): ContractSubject {
  return {
    name: "the fake (with the real agent)",
    createDriver: () => createFakeDriver({ program: agentProgram(path) }),
    createMachine: createTestMachine,
    exchange: synchronise,
  };
}

/** SYNC is answered by ACK with the same nonce (protocol/README.md, section 2). */
async function synchronise(channel: Duplex): Promise<void> {
  const nonce = Buffer.from("0123456789abcdef");
  const sync = Buffer.alloc(8 + 18 + 4);
  sync.writeUInt32LE(1 | (18 << 8), 0);
  nonce.copy(sync, 8);
  sync.writeUInt16LE(1, 24);
  sync.write("BNG1", 26);
  channel.write(sync);
  let heard = Buffer.alloc(0);
  await new Promise<void>((resolve, reject) => {
    channel.once("close", () => reject(new Error("the channel closed before an ACK")));
    channel.on("data", (bytes: Uint8Array) => {
      heard = Buffer.concat([heard, bytes]);
      if (heard.byteLength >= 24) resolve();
    });
  });
  expect(heard[0]).toBe(2);
  expect(heard.subarray(8, 24)).toEqual(nonce);
}
