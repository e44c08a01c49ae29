/** The SDK on Node.js, bundled as a program of somebody else would have it: files both ways, and a command. */
import { expect, test } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRepository } from "../support/repositories.ts";
import { createTestDaemon } from "../support/test-daemon.ts";
import { createScratch, describeTree } from "../support/trees.ts";

const INDEX = join(import.meta.dir, "../../src/sdk/index.ts");

const PROGRAM = `
import { BangerError, Client, copyBetween } from ${JSON.stringify(INDEX)};
const [socket, from, inside, between, out] = process.argv.slice(2);
const client = await Client.create(socket);
const files = client.files("web");
await files.copyIn(from, inside);
await copyBetween({ files, path: inside }, { files, path: between });
const { entries } = await files.copyOut(between, out);
let text = "";
const command = client.exec("web", { argv: ["sh", "-c", "cat; exit 3"] }, { onStdout: (bytes) => { text += Buffer.from(bytes); } });
await command.write(Buffer.from("typed"));
await command.end();
const { exitCode } = await command.exit;
const missing = await files.stat("/no/such/file").then(() => "there", (error) => error instanceof BangerError && error.code);
const notes = [];
let patch = "";
const onNote = (note) => notes.push(note);
for await (const piece of await client.exportWorkspace("web", { onNote })) patch += Buffer.from(piece);
console.log(JSON.stringify({ entries, text, exitCode, missing, notes, patch: patch.length, runtime: typeof Bun }));
`;

test("copies and commands work from Node.js", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" });
  using scratch = createScratch();
  const at = (name: string): string => scratch.at(name);
  using tree = createScratch();
  writeFileSync(tree.at("small"), "hello\n", { mode: 0o640 });
  writeFileSync(tree.at("large"), Buffer.alloc(40 * 1024 * 1024, "banger"));
  symlinkSync("small", tree.at("link"));
  createRepository(at("repo"), { "a.txt": "a\n" });
  await daemon.client.importWorkspace("web", { path: at("repo"), guestPath: at("guest") });
  createRepository(at("guest/é"), { "b.txt": "b\n" });
  writeFileSync(at("program.ts"), PROGRAM);
  const built = await Bun.build({ entrypoints: [at("program.ts")], target: "node", outdir: at("built") });
  expect(built.success).toBe(true);
  const argv = [at("built/program.js"), daemon.layout.socket, tree.path, at("in"), at("between"), at("out")];
  const child = Bun.spawn(["node", ...argv], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect({ code: await child.exited, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout)).toEqual({
    entries: 4,
    text: "typed",
    exitCode: 3,
    missing: "not_found",
    notes: ["é: a repository of its own, whose changes are left out"],
    patch: 0,
    runtime: "undefined",
  });
  expect(describeTree(at("out"))).toEqual(describeTree(tree.path));
});
