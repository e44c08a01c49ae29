/** Files and connections of a real guest: cp both ways and between VMs, interrupted and repeated, and forwarded ports. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { forwardToGuest } from "../../src/sdk/forward.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";
import { createScratch, describeTree } from "../support/trees.ts";

let home: RealHome;
beforeAll(async () => {
  home = await createRealHome();
  for (const name of ["web", "db"]) {
    const { code, stderr } = await home.banger(["run", "-d", "--name", name]);
    expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  }
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

const OK = { code: 0, stderr: "" };

async function sh(vm: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await home.banger(["exec", vm, "--", "sh", "-ec", script]);
  expect({ code, stderr }).toEqual(OK);
  return stdout;
}

test("a tree goes into a VM, on to another one, and comes back the same", async () => {
  using scratch = createScratch();
  mkdirSync(scratch.at("from/sub/empty"), { recursive: true });
  writeFileSync(scratch.at("from/sub/file"), "hello\n", { mode: 0o640 });
  writeFileSync(Buffer.concat([Buffer.from(`${scratch.at("from")}/odd\n`), Buffer.from([0xff])]), "odd");
  symlinkSync("sub/file", scratch.at("from/link"));
  expect(await home.banger(["cp", scratch.at("from"), "web:/srv"])).toMatchObject(OK);
  expect(await sh("web", "stat -c '%a %U %F' /srv/from/sub/file; readlink /srv/from/link")).toBe(
    "640 root regular file\nsub/file\n",
  );
  await sh(
    "web",
    "truncate -s 100M /srv/from/hole; chown 33:33 /srv/from/sub; setfattr --version >/dev/null 2>&1 || true",
  );
  expect(await home.banger(["cp", "-a", "web:/srv/from", "db:/mnt/"])).toMatchObject(OK);
  expect(await sh("db", "stat -c '%u:%g' /mnt/from/sub; du -k /mnt/from/hole | cut -f1")).toBe("33:33\n0\n");
  expect(await home.banger(["cp", "db:/mnt/from/.", scratch.at("back")])).toMatchObject(OK);
  expect(statSync(scratch.at("back/hole")).blocks).toBe(0);
  rmSync(scratch.at("back/hole"));
  const times = / \d{16}( |$)/;
  const [sent, got] = [scratch.at("from"), scratch.at("back")].map((path) =>
    describeTree(path).filter((line) => !line.startsWith(`/${Buffer.from("hole").toString("hex")}`)),
  );
  expect(got?.slice(1).map((line) => line.replace(times, " "))).toEqual(
    sent?.slice(1).map((line) => line.replace(times, " ")) ?? [],
  );
});

test("stdin becomes a file, a file becomes stdout, a directory a tar archive", async () => {
  expect(await home.banger(["cp", "-", "web:/etc/motd"], { stdin: "from stdin\n" })).toMatchObject(OK);
  expect(await home.banger(["cp", "web:/etc/motd", "-"])).toMatchObject({ ...OK, stdout: "from stdin\n" });
  const { stdout } = await home.banger(["cp", "web:/etc/apt", "-"]);
  expect(stdout).toStartWith("apt/");
});

test("what cannot be copied says so, and leaves nothing", async () => {
  using scratch = createScratch();
  const missing = await home.banger(["cp", "web:/no/such", scratch.at("x")]);
  expect(missing).toMatchObject({ code: 1 });
  expect(missing.stderr).toContain("/no/such");
  writeFileSync(scratch.at("f"), "x");
  const nowhere = await home.banger(["cp", scratch.at("f"), "web:/no/such/dir/"]);
  expect(nowhere.code).not.toBe(0);
  expect(existsSync(scratch.at("x"))).toBe(false);
  await sh("web", "mkdir /small && mount -t tmpfs -o size=1m none /small");
  writeFileSync(scratch.at("f"), Buffer.alloc(4_000_000));
  const full = await home.banger(["cp", scratch.at("f"), "web:/small/f"]);
  expect(full.code).toBe(1);
  expect(full.stderr).toContain("No space left on device");
  expect(await sh("web", "ls -A /small")).toBe("");
  // So large that another attempt would go on with what came of it.
  writeFileSync(scratch.at("f"), Buffer.alloc(33 * 1024 * 1024, "x"));
  const larger = await home.banger(["cp", scratch.at("f"), "web:/small/f"]);
  expect(larger.code).toBe(1);
  expect(larger.stderr).toContain("No space left on device");
  expect(await sh("web", "ls -A /small")).toBe("");
});

test("^C in the middle leaves nothing under the final name, and the next attempt goes on", async () => {
  using scratch = createScratch();
  writeFileSync(scratch.at("big"), Buffer.alloc(96 * 1024 * 1024, "0123456789abcdef\n"));
  const client = await home.client();
  const abort = new AbortController();
  let moved = 0;
  const cut = client.files("web").copyIn(scratch.at("big"), "/root/big", {
    signal: abort.signal,
    onProgress: (bytes) => {
      moved += bytes;
      if (moved > 40_000_000) abort.abort();
    },
  });
  expect(
    await cut.then(
      () => "done",
      (error: Error) => error.message,
    ),
  ).toContain("cancelled");
  expect(await sh("web", "ls -A /root | grep -c '^.banger-part-'; test ! -e /root/big")).toBe("1\n");
  const again = await home.banger(["cp", scratch.at("big"), "web:/root/big"]);
  expect(again).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/went on after the \d+.* an earlier copy/),
  });
  const sum = new Bun.CryptoHasher("sha256").update(readFileSync(scratch.at("big"))).digest("hex");
  expect(await sh("web", "sha256sum < /root/big")).toStartWith(sum);
  expect(readdirSync(scratch.path)).toEqual(["big"]);
});

test("a port of the VM is reached through forward", async () => {
  const started = await home.banger([
    "exec",
    "-d",
    "web",
    "--",
    "perl",
    "-MIO::Socket::INET",
    "-e",
    '$s=IO::Socket::INET->new(LocalAddr=>"127.0.0.1:8080",Listen=>5) or die; open F,">/run/ready"; close F; while($c=$s->accept){my @l=<$c>; print $c "heard ",scalar(@l),"\\n"; close $c}',
  ]);
  expect(started.code).toBe(0);
  await sh("web", "while ! test -e /run/ready; do sleep 0.1; done");
  const client = await home.client();
  const listen = { host: "127.0.0.1", port: 0 };
  await using forward = await forwardToGuest(client.files("web"), listen, { target: { port: 8080 } });
  const socket = connect({ port: forward.port, host: "127.0.0.1", allowHalfOpen: true });
  let heard = "";
  socket.on("data", (bytes: Buffer) => {
    heard += bytes.toString();
  });
  socket.end("one\ntwo\n");
  await once(socket, "end");
  expect(heard).toBe("heard 2\n");
});
