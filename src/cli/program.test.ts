import { expect, test } from "bun:test";
import { Command } from "commander";
import { CliContext } from "./context.ts";
import { createProgram, GROUPS } from "./program.ts";

const ctx = new CliContext({ self: [], version: "0" }, []);

function verbsOf(program: Command): string[] {
  return program.commands
    .map((command) => [command.name(), ...command.aliases()])
    .flat()
    .filter((name) => !name.startsWith("_"))
    .toSorted();
}

test.each(GROUPS.map(({ verbs, load }) => ({ title: verbs.join(" "), verbs, load })))(
  "the module of $title defines these verbs and no others",
  async ({ verbs, load }) => {
    const program = new Command().enablePositionalOptions();
    (await load())(program, ctx);
    expect(verbsOf(program)).toEqual([...verbs].toSorted());
  },
);

test("createProgram() defines the verbs of one module for a verb, and all of them for any other word", async () => {
  expect(verbsOf(await createProgram(ctx, "show"))).toEqual(["inspect", "list", "ls", "ps", "show"]);
  const all = GROUPS.flatMap(({ verbs }) => verbs).toSorted();
  expect(verbsOf(await createProgram(ctx, "shwo"))).toEqual(all);
  expect(verbsOf(await createProgram(ctx))).toEqual(all);
});

test("a word that a verb does not know points to that verb's own help", async () => {
  const program = await createProgram(ctx, "snapshot");
  const said: string[] = [];
  const create = program.commands.find((command) => command.name() === "snapshot")?.commands[0];
  create?.configureOutput({ writeErr: (text) => said.push(text) });
  const parsed = program.parseAsync(["snapshot", "create", "--foo"], { from: "user" });
  expect(await parsed.catch(({ code }: { code: string }) => code)).toBe("commander.unknownOption");
  expect(said.join("")).toContain("cure: see what there is with: banger snapshot create --help");
});

test("every command that shows what there is takes --json", async () => {
  const shows = /^(ps|ls|show|stats|ports|check|status|doctor|version)$/;
  const flatten = (command: Command): Command[] => [command, ...command.commands.flatMap(flatten)];
  const showing = flatten(await createProgram(ctx)).filter((command) => shows.test(command.name()));
  expect(showing.length).toBeGreaterThan(15);
  const without = showing.filter(({ options }) => !options.some(({ long }) => long === "--json"));
  expect(without.map((command) => `${command.parent?.name()} ${command.name()}`)).toEqual([]);
});
