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
import { connect, createServer } from "node:net";
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

/** As the remote halves of editors are: a server that says where it listens, and answers everybody with what they said. */
const SERVER = String.raw`
exec 2>&1
echo "user=$(id -un) home=$HOME"
perl -MIO::Socket::INET -e '$|=1; $s=IO::Socket::INET->new(LocalAddr=>"127.0.0.1",Listen=>5) or die;
  print "port=",$s->sockport,"\n"; while($c=$s->accept){while(<$c>){print $c "heard $_"} close $c}'
`;

test("an editor's session: a server, commands, a forwarded socket and sftp at once over one connection", async () => {
  const control = join(user, "control");
  const over = ["-o", `ControlPath=${control}`];
  const lead = ["-o", "ControlMaster=yes", "-o", "ControlPersist=yes", "-f", "-N"];
  const master = await ssh([...over, ...lead, "web.vm"]);
  expect(master).toMatchObject({ code: 0 });
  const server = Bun.spawn(["ssh", "-F", config(), ...over, "web.vm", "bash"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    await server.stdin.write(SERVER);
    await server.stdin.end();
    const words = await untilMatch(server.stdout, /user=root home=\/root\nport=(\d+)\n/);
    const socket = join(user, "forwarded");
    const forward = ["-O", "forward", "-L", `${socket}:127.0.0.1:${words[1] ?? ""}`];
    expect(await ssh([...over, ...forward, "web.vm"])).toMatchObject({ code: 0 });
    writeFileSync(join(user, "edited"), Buffer.alloc(1_000_000, "text\n"));
    const sftp = Bun.spawn(["sftp", "-q", "-F", config(), ...over, "-b", "-", "web.vm"], {
      stdin: Buffer.from(`put ${user}/edited /root/edited\nget /root/edited ${user}/back\n`),
      stdout: "ignore",
      stderr: "inherit",
    });
    const commands = Array.from({ length: 8 }, (_, at) =>
      ssh([...over, "web.vm", `cat; exit ${at}`], { stdin: `${at}\n` }),
    );
    const talks = Array.from({ length: 4 }, (_, at) => talk(socket, `line ${at}\n`));
    expect((await Promise.all(commands)).map(({ code, stdout }) => `${code} ${stdout}`)).toEqual(
      Array.from({ length: 8 }, (_, at) => `${at} ${at}\n`),
    );
    expect(await Promise.all(talks)).toEqual([0, 1, 2, 3].map((at) => `heard line ${at}\n`));
    expect(await sftp.exited).toBe(0);
    expect(readFileSync(join(user, "back")).equals(readFileSync(join(user, "edited")))).toBe(true);
    expect(server.exitCode).toBe(null);
  } finally {
    expect(await ssh([...over, "-O", "exit", "web.vm"])).toMatchObject({ code: 0 });
    expect(await server.exited).toBe(255);
  }
});

async function untilMatch(stream: ReadableStream<Uint8Array>, pattern: RegExp): Promise<RegExpExecArray> {
  let text = "";
  for await (const piece of stream) {
    text += Buffer.from(piece).toString();
    const found = pattern.exec(text);
    if (found !== null) return found;
  }
  throw new Error(`it ended with: ${text}`);
}

/** Says one thing, and hears everything that comes back. */
async function talk(socket: string, words: string): Promise<string> {
  const connection = connect({ path: socket, allowHalfOpen: true });
  connection.end(words);
  let heard = "";
  for await (const piece of connection) heard += String(piece);
  return heard;
}

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
