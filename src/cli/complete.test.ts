/** What is completed where: the place decides which names are asked for. */
import { expect, test } from "bun:test";
import { complete } from "./complete.ts";
import { CliContext } from "./context.ts";
import type { Noun } from "./live-names.ts";
import { createProgram } from "./program.ts";

const program = await createProgram(new CliContext({ self: [], version: "0" }, []));

/** The candidates, with what was asked for. Each kind has one name, which tells the kind. */
async function ask(...words: readonly string[]): Promise<{ found: string[]; asked: Noun[] }> {
  const asked: Noun[] = [];
  const found = await complete(program, words, async (noun) => {
    asked.push(noun);
    return [`a-${noun.replaceAll(" ", "-")}`];
  });
  return { found, asked };
}

test.each([
  [["show", ""], "vm"],
  [["vm", "show", ""], "vm"],
  [["exec", ""], "vm"],
  [["exec", "ls", ""], "vm"],
  [["exec", "-it", "-u", "app", ""], "vm"],
  [["stop", "--timeout", "5s", "web", ""], "vm"],
  [["stats", ""], "vm"],
  [["image", "commit", ""], "vm"],
  [["network", "check", ""], "vm"],
  [["workspace", "pull", ""], "vm"],
  [["snapshot", "create", ""], "vm"],
  [["snapshot", "restore", ""], "vm"],
  [["snapshot", "restore", "web", ""], "snapshot"],
  [["snapshot", "show", ""], "snapshot"],
  [["snapshot", "rm", "one", ""], "snapshot"],
  [["run", "--snapshot", ""], "snapshot"],
  [["image", "show", ""], "image"],
  [["image", "rm", "one", ""], "image"],
  [["image", "tag", ""], "image"],
  [["image", "export", ""], "image"],
  [["image", "pull", ""], "catalog"],
  [["run", "--rm", "--image", ""], "image or catalog"],
  [["create", "--image", "a"], "image or catalog"],
  [["kernel", "show", ""], "kernel"],
  [["kernel", "rm", ""], "kernel"],
  [["volume", "show", ""], "volume"],
  [["volume", "set", ""], "volume"],
  [["volume", "rm", ""], "volume"],
  [["template", "rm", ""], "template"],
] as const)("banger %j is completed with names of a %s", async (words, noun) => {
  expect(await ask(...words)).toEqual({ found: [`a-${noun.replaceAll(" ", "-")}`], asked: [noun] });
});

test.each([
  [["volume", "create", ""]],
  [["volume", "show", "one", ""]],
  [["kernel", "import", ""]],
  [["image", "import", ""]],
  [["image", "tag", "one", ""]],
  [["image", "commit", "web", ""]],
  [["snapshot", "create", "web", ""]],
  [["run", ""]],
  [["run", "--name", ""]],
  [["run", "--rm", "--", ""]],
  [["exec", "web", ""]],
  [["exec", "web", "-"]],
  [["exec", "ls", "web", ""]],
  [["forward", "web", ""]],
] as const)(
  "banger %j names something new, or nothing of banger's: no names are asked for",
  async (words) => {
    expect(await ask(...words)).toEqual({ found: [], asked: [] });
  },
);

test("a value is completed behind its flag with = as well, and where there are choices with those", async () => {
  expect((await ask("run", "--snapshot=")).found).toEqual(["--snapshot=a-snapshot"]);
  expect((await ask("image", "export", "--format", "")).found).toEqual(["oci", "rootfs"]);
  expect((await ask("kill", "--signal=T")).found).toEqual(["--signal=TERM"]);
  expect((await ask("completion", "z")).found).toEqual(["zsh"]);
});

test("a volume is completed as a mount begins, and a kernel also with those that mean something by themselves", async () => {
  expect((await ask("run", "-v", "a")).found).toEqual(["a-volume:"]);
  expect((await ask("set", "web", "--kernel", "")).found).toEqual(["a-kernel", "host", "image"]);
});

test("what is named already is not proposed again", async () => {
  expect((await ask("rm", "a-vm", "")).found).toEqual([]);
});

test("commands and flags are completed without asking anybody", async () => {
  expect(await ask("image", "p")).toEqual({ found: ["prune", "pull"], asked: [] });
  expect(await ask("ps", "--f")).toEqual({ found: ["--filter"], asked: [] });
});
