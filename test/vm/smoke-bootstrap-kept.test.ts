/** What a setup made is kept for the next run of the same work tree, with real guests. */
import { expect, test } from "bun:test";
import { createRealHome } from "../support/real-home.ts";
import { createRepository, put } from "../support/repositories.ts";
import { createScratch } from "../support/trees.ts";

test("the second run of a work tree starts where the first one's setup ended, with what is new, as another VM", async () => {
  await using home = await createRealHome({ templates: true });
  using scratch = createScratch();
  const repo = scratch.at("repo");
  const setup = "cp /proc/sys/kernel/random/uuid /opt/stamp; cp /opt/stamp made.txt";
  createRepository(repo, { "banger.toml": `setup = "${setup}"\nmemory = "256M"\n`, "a.txt": "one\n" });
  const script =
    "cat /opt/stamp made.txt a.txt; hostname; cat /proc/sys/kernel/random/boot_id /etc/machine-id";
  const run = async (
    name: string,
    ...flags: readonly string[]
  ): Promise<{ lines: readonly string[]; stderr: string }> => {
    const args = ["run", "--rm", "--name", name, ...flags, repo, "--", "sh", "-c", `${script} 2>&1`];
    const { code, stdout, stderr } = await home.banger(args);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    return { lines: stdout.split("\n"), stderr };
  };
  const first = await run("first");
  expect(first.stderr).toContain(`+ ${setup}`);
  const [stamp = "none"] = first.lines;
  expect(first.lines.slice(0, 4)).toEqual([stamp, stamp, "one", "first"]);
  const kept = JSON.parse((await home.banger(["template", "ls", "--json"])).stdout) as {
    workspace?: string;
  }[];
  expect(kept.flatMap(({ workspace = [] }) => workspace)).toEqual([repo]);
  put(repo, { "a.txt": "two\n" });
  const second = await run("second");
  expect(second.stderr).not.toContain(`+ ${setup}`);
  expect(second.lines.slice(0, 4)).toEqual([stamp, stamp, "two", "second"]);
  expect(second.lines[4]).not.toBe(first.lines[4]);
  // The first run was not changed by the second: what was kept is as it was.
  const cold = await run("cold", "--cold");
  expect(cold.stderr).toContain(`+ ${setup}`);
  expect(cold.lines[0]).not.toBe(stamp);
  put(repo, { "banger.toml": `setup = ["${setup}", "true"]\nmemory = "256M"\n` });
  const changed = await run("changed");
  expect(changed.stderr).toContain(`+ ${setup}\n+ true\n`);
  expect([stamp, cold.lines[0]]).not.toContain(changed.lines[0]);
});

test("the next daemon uses what was kept, and work done in such a VM comes back", async () => {
  await using home = await createRealHome({ templates: true });
  using scratch = createScratch();
  const repo = scratch.at("repo");
  createRepository(repo, { "banger.toml": `setup = "echo ready > /opt/made"\n`, "a.txt": "one\n" });
  expect((await home.banger(["run", "--rm", "-q", repo, "--", "true"])).code).toBe(0);
  expect((await home.banger(["daemon", "stop"])).code).toBe(0);
  const ready = await home.banger(["run", "-d", "-q", "--name", "app", repo]);
  expect(ready).toMatchObject({ code: 0, stdout: "app\n", stderr: "" });
  const script = "cat /opt/made; echo edited > a.txt; echo new > new.txt";
  expect((await home.banger(["exec", "app", "--", "sh", "-c", script])).stdout).toBe("ready\n");
  const patch = (await home.banger(["workspace", "diff", "app"])).stdout;
  expect(patch).toContain("-one\n+edited\n");
  expect(patch).toContain("+++ b/new.txt");
  const forked = await home.banger(["fork", "app", "-n", "1", "--name", "twin"]);
  expect(forked.code).toBe(0);
  expect((await home.banger(["workspace", "diff", "twin-1"])).stdout).toBe(patch);
});
