/** What a command says, seen from the other end of its pipes. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const CONTEXT = JSON.stringify(join(import.meta.dir, "context.ts"));

function program(script: string): string {
  const setUp = `import { CliContext } from ${CONTEXT}; import { closeSync } from "node:fs";
    const ctx = new CliContext({ self: [], version: "0" }, []);
    let asked = 0;
    async function* pieces(count) { for (; asked < count; ) { asked += 1; yield new Uint8Array(65536); } }`;
  return `${setUp} ${script}`;
}

test("writeAll() asks for no more than a reader takes", async () => {
  const script = program(`
    const written = ctx.writeAll(pieces(200));
    for (let turn = 0; turn < 500; turn += 1) await new Promise(setImmediate);
    console.error(asked);
    await written;
    await ctx.flush();`);
  // The reader waits until it is told to.
  const pipeline = 'exec 3<&0; "$0" -e "$1" </dev/null | { read -r go <&3; wc -c; }';
  await using child = Bun.spawn(["sh", "-c", pipeline, process.execPath, script], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = child.stderr.getReader();
  const { value } = await said.read();
  // The pipe holds one, one is being written; the rest waits where it comes from.
  expect(Number(Buffer.from(value ?? []).toString())).toBeLessThan(10);
  await child.stdin.write("go\n");
  await child.stdin.end();
  expect((await child.stdout.text()).trim()).toBe(String(200 * 65_536));
  expect(await child.exited).toBe(0);
});

test("writeAll() stops where nothing can be written, and that is said once", async () => {
  const script = program(`
    closeSync(1);
    await ctx.writeAll(pieces(200));
    console.error(asked, await ctx.flush());`);
  await using child = Bun.spawn([process.execPath, "-e", script], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const stderr = await child.stderr.text();
  expect(stderr).toMatch(/^banger: cannot write to stdout: .*\n1 false\n$/);
  expect(await child.exited).toBe(0);
});
