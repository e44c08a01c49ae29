/** What is asked of a repository's configuration, and that nothing in it which runs programs is missed. */
import { expect, test } from "bun:test";
import { createRepository, put } from "../../test/support/repositories.ts";
import { createScratch } from "../../test/support/trees.ts";
import { runGit } from "./git.ts";
import { readSettings } from "./settings.ts";

test("readSettings() turns off every filter and every hook that is configured, whatever its name", async () => {
  using scratch = createScratch();
  const [top, { signal }] = [scratch.at("repo"), new AbortController()];
  createRepository(top, { "a.txt": "one\n" });
  put(top, {
    ".git/more":
      '[FILTER "b.c \\"d"]\n\tProcess = x\n[hook ""]\n\tevent = reference-transaction\n\tcommand = x\n',
    ".git/worktree-config": '[filter ""]\n\tsmudge = x\n[hook "A.b"]\n\tenabled\n[hook]\n\tjobs = 2\n',
  });
  await runGit(["config", "include.path", "more"], { signal, cwd: top });
  await runGit(["config", "--add", "include.path", "worktree-config"], { signal, cwd: top });
  const git = { signal, gitDir: `${top}/.git`, workTree: top };
  const { nothingRuns } = await readSettings(git);
  const off = new Map(nothingRuns);
  expect([...off.keys()].filter((key) => key.startsWith("hook")).toSorted()).toEqual([
    "hook..enabled",
    "hook.A.b.enabled",
  ]);
  for (const name of ["", 'b.c "d'])
    for (const key of ["clean", "smudge", "process"]) expect(off.get(`filter.${name}.${key}`)).toBe("");
  // Git takes all of these names, and has the last word from us.
  const config = nothingRuns;
  const listed = (
    await runGit(["config", "--get-regexp", "^(filter|hook)\\."], { ...git, config })
  ).toString();
  expect(listed.trimEnd().split("\n").slice(-off.size).toSorted()).toEqual(
    config.map(([key, value]) => `${key} ${value}`).toSorted(),
  );
});
