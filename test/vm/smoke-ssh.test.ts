/** The SSH door of a real guest whose image has no sshd, through the host's own ssh. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CliResult, createRealHome, type RealHome } from "../support/real-home.ts";

const OWN = "Host elsewhere\n  User me\n";

let home: RealHome;
let user: string;
beforeAll(async () => {
  home = await createRealHome();
  user = mkdtempSync(join(tmpdir(), "banger-user-"));
  mkdirSync(join(user, ".ssh"), { mode: 0o700 });
  writeFileSync(config(), OWN);
  expect(await home.banger(["run", "-d", "--name", "web"])).toMatchObject({ code: 0 });
  expect(await home.banger(["ssh-config", "--install"], { env: { HOME: user } })).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
  rmSync(user, { recursive: true, force: true });
});

function config(): string {
  return join(user, ".ssh/config");
}

/** The host's ssh with the user's configuration: ssh itself looks for it in the passwd's home, whatever HOME says. */
async function ssh(
  args: readonly string[],
  options: { stdin?: string; env?: Record<string, string> } = {},
): Promise<CliResult> {
  const child = Bun.spawn(["ssh", "-F", config(), ...args], {
    env: { ...process.env, SSH_AUTH_SOCK: "", ...options.env },
    stdin: Buffer.from(options.stdin ?? ""),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, signal: undefined, stdout, stderr };
}

async function startAgent(socket: string): Promise<Disposable & { readonly pid: number }> {
  const child = Bun.spawn(["ssh-agent", "-D", "-a", socket], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  // It says where it listens once it does.
  await child.stdout.getReader().read();
  return { pid: child.pid, [Symbol.dispose]: () => child.kill() };
}

test("ssh runs a command: its input, its output, both apart, and its exit code", async () => {
  const result = await home.banger(["ssh", "web", "--", "cat; echo err >&2; exit 7"], { stdin: "in\n" });
  expect(result).toMatchObject({ code: 7, stdout: "in\n", stderr: "err\n" });
  const words = await home.banger(["ssh", "-u", "nobody", "web", "--", "printf", "%s,", "a b", "it's"]);
  expect(words).toMatchObject({ code: 0, stdout: "a b,it's," });
});

test("ssh-config leads NAME.vm to the VM, and takes away exactly what it added", async () => {
  const env = { HOME: user };
  expect(readFileSync(config(), "utf8")).toEndWith(OWN);
  expect(await ssh(["web.vm", "id -un; hostname"])).toMatchObject({ code: 0, stdout: "root\nweb\n" });
  expect(
    await ssh(["-tt", "web.vm", "tty >/dev/null && echo $TERM"], { env: { TERM: "vt100" } }),
  ).toMatchObject({
    code: 0,
    stdout: "vt100\r\n",
  });
  const missing = await ssh(["nobody-is-called-so.vm", "true"]);
  expect(missing).toMatchObject({ code: 255 });
  expect(missing.stderr).toContain("there is no VM");
  expect(await home.banger(["ssh-config", "--uninstall"], { env })).toMatchObject({ code: 0 });
  expect(readFileSync(config(), "utf8")).toBe(OWN);
  expect(existsSync(join(home.home, "ssh/config"))).toBe(false);
  expect(await home.banger(["ssh-config", "--install"], { env })).toMatchObject({ code: 0 });
});

test("a port of the host is reached from the guest with -R", async () => {
  const heard = Promise.withResolvers<string>();
  await using server = createServer((socket) => {
    socket.on("data", (bytes) => {
      heard.resolve(bytes.toString());
      socket.end("pong\n");
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as { port: number };
  const script = "exec 3<>/dev/tcp/127.0.0.1/9000; echo ping >&3; cat <&3";
  const result = await ssh(["-R", `9000:127.0.0.1:${port}`, "web.vm", `bash -c '${script}'`]);
  expect(result).toMatchObject({ code: 0, stdout: "pong\n" });
  expect(await heard.promise).toBe("ping\n");
});

test("the agent's socket is in the guest only when asked for, and no longer than that", async () => {
  const socket = join(user, "agent.sock");
  using agent = await startAgent(socket);
  const env = { SSH_AUTH_SOCK: socket };
  expect((await ssh(["web.vm", 'echo "[$SSH_AUTH_SOCK]"'], { env })).stdout).toBe("[]\n");
  const there = await ssh(["-A", "-l", "nobody", "web.vm", 'stat -c "%U %a %F" $SSH_AUTH_SOCK'], { env });
  expect(there).toMatchObject({ code: 0, stdout: "nobody 600 socket\n" });
  // What answers at the other end is the agent of this host: SSH_AGENTC_REQUEST_IDENTITIES, answered with 12 and no key.
  const ask = String.raw`perl -MIO::Socket::UNIX -e '$s=IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die; print $s pack("NC",1,11); read $s,$b,9; print unpack("H*",$b)'`;
  expect(await ssh(["-A", "web.vm", ask], { env })).toMatchObject({ stdout: "000000050c00000000" });
  expect(agent.pid).toBeGreaterThan(0);
  expect(await home.banger(["exec", "-A", "web", "--", "sh", "-c", ask], { env })).toMatchObject({
    code: 0,
    stdout: "000000050c00000000",
  });
  expect(
    await home.banger(["exec", "-A", "web", "--", "true"], { env: { SSH_AUTH_SOCK: "" } }),
  ).toMatchObject({ code: 125 });
  expect((await ssh(["web.vm", "ls /run | grep banger-agent"], { env })).stdout).toBe("");
});

test("only banger's own key opens the door", async () => {
  const key = join(user, "other");
  const made = Bun.spawn(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  expect(await made.exited).toBe(0);
  const proxy = `env BANGER_HOME=${home.home} ${process.env["BANGER_PROGRAM"] ?? join(import.meta.dir, "../../bin/banger")} ssh-proxy web.vm`;
  const options = ["IdentitiesOnly=yes", "BatchMode=yes", `ProxyCommand=${proxy}`];
  const known = `UserKnownHostsFile=${home.home}/ssh/known_hosts`;
  const flags = [...options, known].flatMap((option) => ["-o", option]);
  const child = Bun.spawn(["ssh", "-F", "/dev/null", "-i", key, ...flags, "web.vm", "true"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  expect(await child.stderr.text()).toContain("Permission denied (publickey)");
  expect(await child.exited).toBe(255);
});

test("a VM of the same name has another host key, and ssh takes it without a word", async () => {
  const known = (): string => readFileSync(join(home.home, "ssh/known_hosts"), "utf8");
  const first = known();
  expect(first).toStartWith("web.vm,");
  expect(await home.banger(["rm", "-f", "web"])).toMatchObject({ code: 0 });
  expect(known()).toBe("");
  expect(await home.banger(["run", "-d", "--name", "web"])).toMatchObject({ code: 0 });
  expect(await ssh(["web.vm", "true"])).toMatchObject({ code: 0, stderr: "" });
  expect(known()).toStartWith("web.vm,");
  expect(known()).not.toBe(first);
  expect(readdirSync(join(home.home, "ssh")).toSorted()).toEqual([
    "config",
    "id_ed25519",
    "id_ed25519.pub",
    "known_hosts",
  ]);
});
