/** Volumes in real guests: what one VM writes outlives it, another one reads it, and a larger one has more room. */
import { expect, test } from "bun:test";
import { createRealHome } from "../support/real-home.ts";

test("a volume outlives its VM, is read-only where asked, and grows", async () => {
  await using home = await createRealHome();
  const run = async (mount: string, script: string) =>
    await home.banger(["run", "--rm", "-q", "-v", mount, "--", "sh", "-ec", script]);
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
