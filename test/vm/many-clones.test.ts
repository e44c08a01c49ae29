/** Two hundred clones of one template, a few at a time, as `run --rm` makes them: no two are the same machine. */
import { expect, test } from "bun:test";
import type { Client } from "../../src/sdk/index.ts";
import { eachAtOnce } from "../fault/each-at-once.ts";
import { createRealHome } from "../support/real-home.ts";
import { templateMade } from "../support/template-made.ts";

const CLONES = 200;
const AT_ONCE = 4;
const SHAPE = { memoryMib: 256, diskMib: 1024 } as const;

/** getrandom(2) by its number on x86-64, asked of the kernel by the first program that runs in the clone. */
const DRAW = `
  my $bytes = "\\0" x 32;
  syscall(318, $bytes, 32, 0) == 32 or die "getrandom: $!";
  print unpack("H*", $bytes), "\\n";
  for my $path ("/proc/sys/kernel/random/boot_id", "/etc/machine-id", "/proc/sys/kernel/hostname") {
    open my $file, "<", $path or die "$path: $!";
    print scalar <$file>;
  }`;

test(`${CLONES} clones of a template draw distinct random bytes with getrandom, and have distinct ids and names`, async () => {
  await using home = await createRealHome({ templates: true });
  expect((await home.banger(["daemon", "start"])).code).toBe(0);
  const client = await home.client();
  const made = templateMade(home.home);
  await draw(client);
  await made;
  const seen = [new Set<string>(), new Set<string>(), new Set<string>(), new Set<string>()];
  const from = performance.now();
  await eachAtOnce([...Array(CLONES).keys()], AT_ONCE, async () => {
    const { lines, stages } = await draw(client);
    expect(lines).toHaveLength(seen.length);
    expect(stages).toContain("resume");
    expect(stages).not.toContain("configure");
    for (const [at, line] of lines.entries()) seen[at]?.add(line);
  });
  console.log(`${CLONES} clones in ${Math.round((performance.now() - from) / 1000)} s`);
  expect(seen.map(({ size }) => size)).toEqual(seen.map(() => CLONES));
});

/** What one clone says of itself, a line each, and the stages that its start had. */
async function draw(client: Client): Promise<{ readonly lines: string[]; readonly stages: string[] }> {
  let said = "";
  const stages: string[] = [];
  const run = client.run(
    { vm: SHAPE, exec: { argv: ["perl", "-e", DRAW] }, remove: true },
    {
      onStdout: (bytes) => void (said += Buffer.from(bytes).toString()),
      onProgress: (line) => void (line.event === "begin" && stages.push(line.stage)),
    },
  );
  expect(await run.exit).toMatchObject({ exitCode: 0 });
  return { lines: said.trim().split("\n"), stages };
}
