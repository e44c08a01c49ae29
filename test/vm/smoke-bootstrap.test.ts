/** What a work tree says of its VM, with real guests: the seed's precondition, and a setup before the command. */
import { expect, test } from "bun:test";
import { createRealHome } from "../support/real-home.ts";
import { createRepository } from "../support/repositories.ts";
import { createScratch } from "../support/trees.ts";

test("tools without a network are refused before there is a VM, unless --no-bootstrap", async () => {
  await using home = await createRealHome();
  using scratch = createScratch();
  createRepository(scratch.at("repo"), { ".tool-versions": "nodejs 20\n" });
  const refused = await home.banger(["run", "-d", "--network", "none", scratch.at("repo")]);
  expect(refused).toMatchObject({ code: 125, stdout: "" });
  expect(refused.stderr).toContain("no network");
  expect(refused.stderr).toContain("--no-bootstrap");
  expect((await home.banger(["ps", "-a", "-q"])).stdout).toBe("");
  const without = [
    "run",
    "--rm",
    "-q",
    "--network",
    "none",
    "--no-bootstrap",
    scratch.at("repo"),
    "--",
    "ls",
    "-a",
  ];
  expect(await home.banger(without)).toMatchObject({
    code: 0,
    stderr: "",
    stdout: ".\n..\n.git\n.tool-versions\n",
  });
});

test("run makes the VM that banger.toml asks for, runs its setup, and keeps the VM of one that fails", async () => {
  await using home = await createRealHome();
  using scratch = createScratch();
  const repo = scratch.at("repo");
  createRepository(repo, {
    "banger.toml": `vcpus = 2\nmemory = "512M"\nnetwork = "none"\nsetup = ["echo $CI > made", "test $(nproc) = 1"]\n[env]\nCI = "yes"\n`,
  });
  const listed = await home.banger(["run", "--dry-run", repo]);
  expect(listed).toMatchObject({ code: 0, stdout: "banger.toml\n" });
  expect(listed.stderr).toContain("banger.toml asks for 2 vcpus, memory 512 MiB, network none, env CI");
  expect(listed.stderr).toContain("would run: echo $CI > made");
  const log = "+ echo $CI > made\n+ test $(nproc) = 1\n";
  const script = "cat made; echo $CI; nproc; cat /var/log/banger-bootstrap.log";
  const command = ["--", "sh", "-c", script];
  expect(await home.banger(["run", "--rm", "-q", "--vcpus", "1", repo, ...command])).toMatchObject({
    code: 0,
    stdout: `yes\nyes\n1\n${log}`,
    stderr: log,
  });
  const failed = await home.banger(["run", "-d", "-q", "--name", "app", repo]);
  expect(failed).toMatchObject({ code: 125, stdout: "" });
  expect(failed.stderr).toContain('"test $(nproc) = 1" ended with exit code 1');
  expect(failed.stderr).toContain("banger exec app -- cat /var/log/banger-bootstrap.log");
  expect((await home.banger(["exec", "app", "--", "cat", "made"])).stdout).toBe("yes\n");
  createRepository(scratch.at("greedy"), { "banger.toml": `network = "full"\n` });
  const greedy = await home.banger(["run", "--dry-run", scratch.at("greedy")]);
  expect(greedy.code).not.toBe(0);
  expect(greedy.stderr).toContain("only you can give that");
  expect((await home.banger(["run", "--dry-run", "--network", "full", scratch.at("greedy")])).code).toBe(0);
});
