/** Names of guests on the host: the server on its loopback, and systemd-resolved, which a stub of its program stands for. */
import { test as anyTest, expect } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode, encode } from "dns-packet";
import { ask } from "./probe.ts";
import { createWorld, NO_WORLD, type World } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);
const OWN = "/proc/thread-self/ns/net";
/** Of a host of the test's own: nobody else listens there. */
const PORT = 15_353;

test("the host asks on its loopback for names of guests, and for nothing else", async () => {
  await using world = await createWorld({ dnsPort: PORT });
  expect(await resolve("web.vm")).toBeUndefined();
  await world.guest("172.30.5.2");
  expect(await resolve("web.vm")).toEqual({ code: "NOERROR", addresses: ["172.30.5.2"] });
  expect(await resolve("WEB.vm")).toEqual({ code: "NOERROR", addresses: ["172.30.5.2"] });
  expect(await resolve("none.vm")).toEqual({ code: "NXDOMAIN", addresses: [] });
  expect(await resolve("good.test")).toEqual({ code: "REFUSED", addresses: [] });
  await takeDown(world);
  expect(await resolve("web.vm")).toBeUndefined();
});

test("systemd-resolved is told of the server and the domain, on the link that goes with the network", async () => {
  await using stub = createStub("exit 0");
  await using world = await createWorld({ dnsPort: PORT, resolvectl: stub.path });
  await world.guest("172.30.5.2");
  const { hostLink } = world.service.plan;
  expect(await stub.calls(2)).toEqual([`dns ${hostLink} 127.0.0.1:${PORT}`, `domain ${hostLink} ~vm`]);
  expect(world.problems).toEqual([]);
});

test("a systemd-resolved that does not answer keeps no VM from its network, and is reported", async () => {
  await using stub = createStub("echo no bus >&2; exit 1");
  const told = Promise.withResolvers<string>();
  await using world = await createWorld({
    dnsPort: PORT,
    resolvectl: stub.path,
    onProblem: (what, error) => told.resolve(`${what}: ${String(error)}`),
  });
  const guest = await world.guest("172.30.5.2");
  expect(await guest.resolve("web.vm")).toEqual(["172.30.5.2"]);
  expect(await told.promise).toContain("systemd-resolved: ");
});

async function takeDown(world: World): Promise<void> {
  for (const { id } of world.guests()) await world.service.network.detach(id);
  await world.service.network.down();
}

async function resolve(
  name: string,
): Promise<{ readonly code: string; readonly addresses: readonly string[] } | undefined> {
  const message = encode({ type: "query", id: 9, flags: 0x100, questions: [{ type: "A", name }] });
  const bytes = await ask(OWN, {
    protocol: "udp",
    address: "127.0.0.1",
    port: PORT,
    message,
    timeoutMs: 10_000,
  });
  if (bytes === undefined) return undefined;
  const { answers = [], ...rest } = decode(bytes);
  const addresses = answers.flatMap((one) => (one.type === "A" ? [one.data] : []));
  return { code: String((rest as { rcode?: unknown }).rcode), addresses };
}

interface Stub extends AsyncDisposable {
  readonly path: string;
  /** Resolves with the arguments of the first `count` calls. */
  calls(count: number): Promise<string[]>;
}

function createStub(end: string): Stub {
  const dir = mkdtempSync(join(tmpdir(), "banger-resolvectl-"));
  const [path, log] = [join(dir, "resolvectl"), join(dir, "calls")];
  writeFileSync(path, `#!/bin/sh\necho "$*" >>${log}\n${end}\n`);
  chmodSync(path, 0o755);
  const read = (): string[] => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []);
  return {
    path,
    async calls(count) {
      const done = Promise.withResolvers<void>();
      const look = (): void => {
        if (read().length >= count) done.resolve();
      };
      const watcher = watch(dir, look);
      look();
      await done.promise.finally(() => watcher.close());
      return read();
    },
    async [Symbol.asyncDispose]() {
      rmSync(dir, { recursive: true });
    },
  };
}
