/** The one file that `npm run build` makes: it needs nothing of this checkout. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SITE } from "../network/addresses.ts";
import { createOwnHost } from "../network/own-host.ts";
import { greetingsOf } from "../support/greetings.ts";
import { createOrdinaryUser, NO_USER, ORDINARY_UID } from "../support/ordinary-user.ts";
import { createRealHome, prepareRealHomes } from "../support/real-home.ts";
import { killUserDaemon, userNetworkRemains, workersOf } from "../support/user-network.ts";

const BUILD = join(import.meta.dir, "../../scripts/build.ts");
const SERVERS = greetingsOf([SITE]);

let dir: string;
let program: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "banger-binary-"));
  program = join(dir, "bin/banger");
  const built = Bun.spawnSync([process.execPath, "run", BUILD, program]);
  if (built.exitCode !== 0)
    throw new Error(`the build failed: ${built.stdout.toString()}${built.stderr.toString()}`);
  // Others may run it.
  for (const path of [dir, join(dir, "bin")]) chmodSync(path, 0o755);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("the binary runs a VM, from a directory whose files would like to be obeyed", async () => {
  const cwd = join(dir, "hostile");
  mkdirSync(cwd);
  writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./evil.ts"]');
  writeFileSync(join(cwd, "evil.ts"), 'throw new Error("obeyed");');
  writeFileSync(join(cwd, ".env"), "BANGER_HOME=/nowhere");
  // Whatever it would look for beside itself or on the way to bun and node is not there.
  await using home = await createRealHome({ program, env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
  const ran = await home.banger(["run", "--rm", "-q", "--", "uname", "-n"], { cwd });
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  expect((await home.banger(["daemon", "status"], { cwd })).stdout).toContain("running, pid");
  expect((await home.banger(["doctor"], { cwd })).stdout).toContain("PASS");
});

test.skipIf(NO_USER !== undefined)(
  "the binary is also the process in an ordinary user's namespace, which answers its guests' questions",
  async () => {
    await prepareRealHomes();
    await using _host = await createOwnHost({ nameservers: [] });
    await using user = await createOrdinaryUser({ program });
    await using home = await createRealHome({ program: user.program, uid: ORDINARY_UID });
    const say = async (...args: string[]): Promise<string> => (await home.must(args)).stdout.trim();
    const check = async (): Promise<void> => {
      expect(SERVERS.heardIn(await say("exec", "web", "--", "bash", "-c", SERVERS.script))).toEqual([SITE]);
      expect(await say("exec", "web", "--", "getent", "ahostsv4", "web.vm")).toContain("172.16.0.2");
      expect(await workersOf(home.home)).toHaveLength(1);
    };
    await say("run", "-d", "-q", "--name", "web");
    await check();
    await killUserDaemon(home);
    await say("daemon", "start");
    await check();
    await say("rm", "-f", "web");
    await say("network", "down");
    expect(await userNetworkRemains(home.home)).toEqual([]);
  },
);
