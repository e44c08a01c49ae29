/** Kernels for real: what a VM is told to boot, it boots; and what it boots is not removed. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createRealHome } from "../support/real-home.ts";

test("a VM boots the kernel that it is told to, which stays as long as the VM", async () => {
  await using home = await createRealHome();
  // The default kernel has no name before somebody asks; any kernel serves as a file to import.
  const [id = ""] = readdirSync(join(home.home, "kernels"));
  const dir = join(home.home, "kernels", id);
  const files = [join(dir, "vmlinux"), "--modules", join(dir, "modules")];
  const imported = await home.banger(["kernel", "import", "-q", "mine", ...files]);
  expect(imported).toMatchObject({ code: 0 });
  const run = await home.banger(["run", "--name", "k", "--kernel", "mine", "--", "uname", "-r"]);
  expect(run).toMatchObject({ code: 0 });
  expect(run.stdout).toMatch(/^\d+\.\d+/u);
  expect((await home.banger(["show", "k"])).stdout).toMatch(/^kernel +mine$/mu);
  const kept = await home.banger(["kernel", "rm", "mine"]);
  expect(kept.code).toBe(1);
  expect(kept.stderr).toContain("used by k");
  const image = await home.banger(["run", "--rm", "--kernel", "image", "--", "true"]);
  expect(image.stderr).toContain("has no kernel of its own");
  expect((await home.banger(["run", "--rm", "--kernel", "nix", "--", "true"])).stderr).toContain("kernel ls");
  // Another one comes with the next start; one that is not there is refused at once.
  expect((await home.banger(["set", "k", "--kernel", "nix"])).stderr).toContain("kernel ls");
  const waits = expect.stringContaining("k: kernel with the next start");
  expect(await home.banger(["set", "k", "--kernel", "debian"])).toMatchObject({ code: 0, stderr: waits });
  expect(await home.banger(["set", "k", "--kernel", "mine"])).toMatchObject({ code: 0, stderr: "" });
  expect(await home.banger(["set", "k", "--kernel", "debian"])).toMatchObject({ code: 0 });
  expect(await home.banger(["restart", "k"])).toMatchObject({ code: 0 });
  expect((await home.banger(["show", "k"])).stdout).not.toMatch(/^(?:kernel|next start) /mu);
  expect(await home.banger(["exec", "k", "--", "uname", "-r"])).toMatchObject({
    code: 0,
    stdout: run.stdout,
  });
  await home.must(["rm", "-f", "k"]);
  expect(await home.banger(["kernel", "rm", "mine"])).toMatchObject({ code: 0, stdout: "mine\n" });
});
