/** Files over the SSH door of a guest whose image has no sftp-server: the host's own sftp, scp and rsync, as root and as another user. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { putHostProgram } from "../support/host-program.ts";
import { type CliResult, createRealHome, type RealHome } from "../support/real-home.ts";

/** More than one packet, one window and one pipe hold. */
const LARGE = Buffer.from(Uint8Array.from({ length: 3_000_001 }, (_, at) => at * 31 + (at >> 8)));

let home: RealHome;
let scratch: string;
beforeAll(async () => {
  home = await createRealHome();
  scratch = mkdtempSync(join(tmpdir(), "banger-sftp-"));
  mkdirSync(join(scratch, ".ssh"), { mode: 0o700 });
  expect(await home.banger(["run", "-d", "--name", "web"])).toMatchObject({ code: 0 });
  const env = { HOME: scratch };
  expect(await home.banger(["ssh-config", "--install"], { env })).toMatchObject({ code: 0 });
  expect(await guest("command -v sftp-server scp rsync; ls /usr/lib/openssh 2>&1")).toContain("No such file");
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

async function run(argv: readonly string[], input = ""): Promise<CliResult> {
  const child = Bun.spawn([...argv], {
    cwd: scratch,
    env: { ...process.env, SSH_AUTH_SOCK: "" },
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, signal: undefined, stdout, stderr };
}

function config(): string {
  return join(scratch, ".ssh/config");
}

/** sftp stops at the first line that fails, unless it begins with a hyphen. */
async function sftp(script: string, user = "root"): Promise<CliResult> {
  return await run(["sftp", "-q", "-F", config(), "-b", "-", `${user}@web.vm`], script);
}

async function guest(script: string): Promise<string> {
  return (await home.banger(["exec", "web", "--", "sh", "-c", script])).stdout;
}

test("sftp carries a file both ways, byte for byte, with its mode and its time", async () => {
  writeFileSync(join(scratch, "large"), LARGE);
  utimesSync(join(scratch, "large"), 1_600_000_000, 1_600_000_000);
  expect(await sftp("put -p large /root/large\nget -p /root/large back\n")).toMatchObject({ code: 0 });
  expect(readFileSync(join(scratch, "back")).equals(LARGE)).toBe(true);
  expect(statSync(join(scratch, "back")).mtimeMs).toBe(1_600_000_000_000);
  expect(await guest("stat -c '%s %Y %U' /root/large")).toBe(`${LARGE.length} 1600000000 root\n`);
});

test("sftp does everything else that its client knows", async () => {
  const script = [
    "mkdir /srv/dir",
    "cd /srv/dir",
    "put large a",
    "chmod 640 a",
    "chown 65534 a",
    "ln a hard",
    "ln -s a soft",
    "rename a b",
    "pwd",
    "ls -l",
    "df /srv",
    "rm hard",
    "-rm nothing-of-this-name",
    "-rmdir /srv",
    "rmdir /srv/dir/none",
  ].join("\n");
  writeFileSync(join(scratch, "large"), "small");
  const result = await sftp(`${script}\n`);
  expect(result.code).toBe(1);
  expect(result.stdout).toContain("Remote working directory: /srv/dir");
  expect(result.stdout).toMatch(/-rw-r----- +(\?|2) nobody +root +5 .* b\n/);
  expect(result.stderr).toContain("No such file or directory");
  expect(await guest("cd /srv/dir && ls && stat -c '%a %u %F' b && readlink soft")).toBe(
    "b\nsoft\n640 65534 regular file\na\n",
  );
});

test("scp copies trees both ways, with links and names of any kind", async () => {
  mkdirSync(join(scratch, "tree/deep"), { recursive: true });
  writeFileSync(join(scratch, "tree/deep/x\ny"), "odd");
  writeFileSync(join(scratch, "tree/ä ö"), "", { mode: 0o755 });
  symlinkSync("ä ö", join(scratch, "tree/link"));
  const there = await run(["scp", "-q", "-r", "-p", "-F", config(), "tree", "web.vm:/srv/"]);
  expect(there).toMatchObject({ code: 0, stderr: "" });
  const back = await run(["scp", "-q", "-r", "-p", "-F", config(), "web.vm:/srv/tree", "tree-back"]);
  expect(back).toMatchObject({ code: 0, stderr: "" });
  const names = (tree: string): ReadonlySet<string> =>
    new Set(readdirSync(join(scratch, tree), { recursive: true, encoding: "utf8" }));
  expect(names("tree-back")).toEqual(names("tree"));
  expect(readFileSync(join(scratch, "tree-back/deep/x\ny"), "utf8")).toBe("odd");
  expect(statSync(join(scratch, "tree-back/ä ö")).mode & 0o777).toBe(0o755);
});

test("another user has its own rights, and no more", async () => {
  const denied = await sftp("-get /etc/shadow\nput large /root/x\n", "nobody");
  expect(denied.code).toBe(1);
  expect(denied.stderr).toMatch(/etc\/shadow.*[Pp]ermission denied[^]*\/root\/x.*[Pp]ermission denied/);
  expect(await sftp("put large /tmp/theirs\n", "nobody")).toMatchObject({ code: 0 });
  expect(await guest("stat -c %U /tmp/theirs; ls /root/x 2>&1")).toStartWith("nobody\nls: cannot access");
  expect(await sftp("pwd\n", "nobody-of-this-name")).toMatchObject({ code: 255 });
});

test("a full disk is an error of the one file, and the session goes on", async () => {
  await guest("mkdir /mnt/tiny && mount -t tmpfs -o size=1m tmpfs /mnt/tiny");
  writeFileSync(join(scratch, "huge"), LARGE);
  const result = await sftp("-put huge /mnt/tiny/huge\nput large /srv/after\n");
  expect(result).toMatchObject({ code: 0 });
  expect(result.stderr).toContain("/mnt/tiny/huge");
  expect(await guest("cat /srv/after; umount /mnt/tiny")).toBe("small");
});

test("rsync keeps a tree in step, where the guest has rsync", async () => {
  const rsync = await putHostProgram(home, "web", "rsync");
  const flags = ["rsync", "-a", "--delete", "-e", `ssh -F ${config()}`, "--rsync-path", rsync];
  mkdirSync(join(scratch, "kept/deep"), { recursive: true });
  writeFileSync(join(scratch, "kept/deep/one"), LARGE);
  symlinkSync("deep/one", join(scratch, "kept/link"));
  expect(await run([...flags, "kept/", "web.vm:/srv/kept/"])).toMatchObject({ code: 0, stderr: "" });
  writeFileSync(join(scratch, "kept/two"), "two");
  rmSync(join(scratch, "kept/link"));
  expect(await run([...flags, "kept/", "web.vm:/srv/kept/"])).toMatchObject({ code: 0, stderr: "" });
  expect(await guest("cd /srv/kept && find . | sort")).toBe(".\n./deep\n./deep/one\n./two\n");
  expect(await run([...flags, "web.vm:/srv/kept/", "kept-back/"])).toMatchObject({ code: 0, stderr: "" });
  expect(readFileSync(join(scratch, "kept-back/deep/one")).equals(LARGE)).toBe(true);
});
