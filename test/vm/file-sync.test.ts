/** `file_sync` with a real guest: content and mode arrive below its /root, at the first start and anew at the second. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRealHome } from "../support/real-home.ts";

const CONFIG = `
[[file_sync]]
host = "~/.gitconfig"
guest = "/root/.gitconfig"
mode = "0640"
[[file_sync]]
host = "~/keys/big"
guest = "/root/.config/keys/big"
[[file_sync]]
host = "~/nowhere"
guest = "/root/nowhere"
`;
const LOOK =
  "stat -c '%a %U %F %n' .gitconfig .config/keys .config/keys/big; ls -A .config/keys; md5sum .config/keys/big; cat .gitconfig";

test("files of the host are in the guest after each start, and a missing one is said", async () => {
  await using home = await createRealHome();
  const user = join(home.home, "user");
  mkdirSync(join(user, "keys"), { recursive: true });
  writeFileSync(join(home.home, "config.toml"), CONFIG);
  writeFileSync(join(user, ".gitconfig"), "[user]\n\tname = first\n");
  const big = Buffer.alloc(3_000_001, "0123456789abc");
  writeFileSync(join(user, "keys/big"), big);
  const env = { HOME: user };
  const missing = `file_sync: ${user}/nowhere is missing`;

  const started = await home.banger(["run", "-d", "--name", "web", "--memory", "512M"], { env });
  expect(started).toMatchObject({ code: 0 });
  expect(started.stderr).toContain(missing);
  const first = await home.banger(["exec", "web", "--", "sh", "-c", `cd && ${LOOK}`]);
  expect(first.stdout.split("\n")).toEqual([
    "640 root regular file .gitconfig",
    "700 root directory .config/keys",
    "600 root regular file .config/keys/big",
    "big",
    `${new Bun.CryptoHasher("md5").update(big).digest("hex")}  .config/keys/big`,
    "[user]",
    "\tname = first",
    "",
  ]);
  expect((await home.banger(["daemon", "logs"])).stdout).toContain(`${user}/nowhere is missing`);

  // In the guest it became a link to somewhere else: it is replaced, and what it names is left alone.
  const linked = await home.banger([
    "exec",
    "web",
    "--",
    "sh",
    "-c",
    "cd && echo kept > kept && ln -sf kept .gitconfig",
  ]);
  expect(linked).toMatchObject({ code: 0 });
  writeFileSync(join(user, ".gitconfig"), "second\n");
  const again = await home.banger(["restart", "web"]);
  expect(again).toMatchObject({ code: 0 });
  expect(again.stderr).toContain(missing);
  const second = await home.banger([
    "exec",
    "web",
    "--",
    "sh",
    "-c",
    "cd && stat -c '%a %F' .gitconfig && cat .gitconfig kept",
  ]);
  expect(second.stdout).toBe("640 regular file\nsecond\nkept\n");
});
