/** Volumes in real guests: what one VM writes outlives it, another one reads it, and a larger one has more room. */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRealHome } from "../support/real-home.ts";
import { createScratch } from "../support/trees.ts";

test("a volume outlives its VM, is read-only where asked, and grows", async () => {
  await using home = await createRealHome();
  const run = async (mount: string, script: string) =>
    await home.must(["run", "--rm", "-q", "-v", mount, "--", "sh", "-ec", script]);
  expect(await home.banger(["volume", "create", "data", "--size", "64M"])).toMatchObject({
    code: 0,
    stdout: "data\n",
  });
  const written = await run(
    "data:/srv/data",
    "echo kept > /srv/data/file; df -k --output=size /srv/data | tail -1",
  );
  expect(written).toMatchObject({ code: 0, stderr: "" });
  expect(await home.banger(["volume", "set", "data", "--size", "256M"])).toMatchObject({ code: 0 });
  const grown = await run("data:/mnt", "cat /mnt/file; df -k --output=size /mnt | tail -1");
  expect(grown).toMatchObject({ code: 0, stderr: "" });
  const [kept, size] = grown.stdout.trim().split("\n");
  expect(kept).toBe("kept");
  expect(Number(size)).toBeGreaterThan(3 * Number(written.stdout));
  const refused = await run("data:/mnt:ro", "cat /mnt/file; ! touch /mnt/new");
  expect(refused).toMatchObject({ code: 0, stdout: "kept\n" });
  expect(refused.stderr).toContain("Read-only file system");
});

test("a volume is read by many VMs that run at once, and written by none of them", async () => {
  await using home = await createRealHome();
  expect(await home.banger(["volume", "create", "data", "--size", "64M"])).toMatchObject({ code: 0 });
  const write = ["run", "--rm", "-q", "-v", "data:/mnt", "--", "sh", "-ec"];
  expect(await home.banger([...write, "echo shared > /mnt/file"])).toMatchObject({ code: 0, stderr: "" });
  const names = ["one", "two", "three"];
  for (const name of names) {
    const reader = ["run", "-d", "-q", "--name", name, "-v", "data:/srv/data:ro"];
    expect(await home.banger(reader)).toMatchObject({ code: 0 });
  }
  for (const name of names) {
    const seen = await home.banger([
      "exec",
      name,
      "--",
      "sh",
      "-c",
      "cat /srv/data/file; touch /srv/data/new",
    ]);
    expect(seen).toMatchObject({ code: 1, stdout: "shared\n" });
    expect(seen.stderr).toContain("Read-only file system");
  }
  const refused = await home.banger([...write, "echo new > /mnt/file"]);
  expect(refused).toMatchObject({ code: 125, stdout: "" });
  expect(refused.stderr).toContain("data");
  expect(await home.banger(["rm", "-f", ...names])).toMatchObject({ code: 0 });
  expect(await home.banger([...write, "echo new >> /mnt/file; cat /mnt/file"])).toMatchObject({
    code: 0,
    stdout: "shared\nnew\n",
  });
});

test("a directory is there as it was at the start, read-only, and its copy goes when the VM stops", async () => {
  await using home = await createRealHome();
  using scratch = createScratch();
  const directory = scratch.at("some where");
  mkdirSync(join(directory, "sub"), { recursive: true });
  writeFileSync(join(directory, "sub/file"), "one\n", { mode: 0o640 });
  symlinkSync("/etc/hostname", join(directory, "link"));
  const cwd = scratch.at(".");
  const started = await home.banger(["run", "-d", "--name", "web", "-v", "./some where:/srv/in:ro"], { cwd });
  expect(started).toMatchObject({ code: 0 });
  const sh = async (script: string) => await home.banger(["exec", "web", "--", "sh", "-ec", script]);
  writeFileSync(join(directory, "sub/file"), "two\n");
  const seen = await sh(
    "cd /srv/in; cat sub/file; stat -c '%a %U' sub/file; readlink link; ! touch new 2>&1",
  );
  expect(seen).toMatchObject({ code: 0 });
  expect(seen.stdout).toBe(
    "one\n640 root\n/etc/hostname\ntouch: cannot touch 'new': Read-only file system\n",
  );
  expect(await home.banger(["restart", "web"])).toMatchObject({ code: 0 });
  expect((await sh("cat /srv/in/sub/file")).stdout).toBe("two\n");
  expect(await home.banger(["stop", "web"])).toMatchObject({ code: 0 });
  const [id = ""] = readdirSync(join(home.home, "vms"));
  expect(readdirSync(join(home.home, "vms", id)).filter((name) => name.includes("squashfs"))).toEqual([]);
  const writable = await home.banger(["create", "--name", "no", "-v", `${directory}:/x`]);
  expect(writable).toMatchObject({ code: 2 });
  expect(writable.stderr).toContain(":ro");
  const missing = await home.banger(["run", "-d", "--name", "no", "-v", "./nothing:/x:ro"], { cwd });
  expect(missing).toMatchObject({ code: 125 });
  expect(missing.stderr).toContain("there is no directory");
});
