/** Transactions of a process that is sent signals, as a runtime's own threads send them. */
import { test as anyTest, expect } from "bun:test";
import { createDeferred } from "../../src/lib/deferred.ts";
import { createNetPrograms } from "../../src/network/programs.ts";
import { createOwnHost } from "./own-host.ts";
import { NO_WORLD } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);
const OWN = "/proc/thread-self/ns/net";
const ELEMENTS = Array.from({ length: 200 }, (_, n) => `add element inet t s { 10.0.0.${n} }`);
const TABLE = ["add table inet t", "add set inet t s { type ipv4_addr; }", ...ELEMENTS].join("\n");

/** Nothing happens to a process that does not listen for it. */
const HARMLESS = "SIGWINCH";
const SHOWER = `i=0; while [ $i -lt 300000 ]; do kill -WINCH $1; i=$((i+1)); done`;

test("a signal in the middle of a transaction does not fail it", async () => {
  await using _host = await createOwnHost({ nameservers: [] });
  const programs = createNetPrograms();
  const came = createDeferred<void>();
  process.on(HARMLESS, came.resolve);
  const shower = Bun.spawn(["sh", "-c", SHOWER, "sh", String(process.pid)], { stderr: "ignore" });
  try {
    await came.promise;
    for (let run = 0; run < 500; run += 1) await programs.nft(OWN, TABLE);
    expect(await programs.nftJson(OWN, ["list", "set", "inet", "t", "s"])).toBeDefined();
  } finally {
    shower.kill();
    await shower.exited;
    process.off(HARMLESS, came.resolve);
    programs.release(OWN);
  }
});
