/** Commands in a real guest: what a user types, and what comes back. One VM serves most of these tests. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { createRealHome, type RealHome } from "../support/real-home.ts";

let home: RealHome;
beforeAll(async () => {
  home = await createRealHome();
  const { code, stdout, stderr } = await home.banger(["run", "-d", "--name", "web", "-e", "FROM_VM=yes"]);
  expect({ code, stdout, stderr: code === 0 ? "" : stderr }).toEqual({
    code: 0,
    stdout: "web\n",
    stderr: "",
  });
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

/** Runs a shell line in the VM. */
async function sh(script: string, ...flags: string[]) {
  return await home.banger(["exec", ...flags, "web", "--", "sh", "-c", script]);
}

test("exec brings back stdout, stderr and the exit code, each by itself", async () => {
  expect(await sh("echo out; echo err >&2; exit 42")).toMatchObject({
    code: 42,
    stdout: "out\n",
    stderr: "err\n",
  });
});

test("the guest is a Debian of its own: kernel, root file system, host name, address", async () => {
  const { stdout } = await sh(
    ". /etc/os-release; echo $ID $VERSION_CODENAME; hostname; uname -r; grep web /etc/hosts",
  );
  const [os, hostname, release, hosts] = stdout.split("\n");
  expect(os).toBe("debian bookworm");
  expect(hostname).toBe("web");
  expect(release).toContain("cloud");
  expect(hosts).toMatch(/^172\.16\.0\.\d+\tweb web\.vm$/);
});

test("exec feeds stdin to its end", async () => {
  const { code, stdout } = await home.banger(["exec", "web", "--", "cat"], { stdin: "hi" });
  expect({ code, stdout }).toEqual({ code: 0, stdout: "hi" });
});

test("exec --no-stdin gives an empty one", async () => {
  const { stdout } = await home.banger(["exec", "--no-stdin", "web", "--", "wc", "-c"], { stdin: "hi" });
  expect(stdout.trim()).toBe("0");
});

test("exec carries 20 MB in and out unchanged", async () => {
  const bytes = Buffer.alloc(20_000_000, "0123456789abcdef\n");
  const sum = createHash("sha256").update(bytes).digest("hex");
  const inwards = await home.banger(["exec", "web", "--", "sha256sum"], { stdin: bytes });
  expect(inwards.stdout).toStartWith(sum);
  const { stdout } = await home.banger(["exec", "web", "--", "cat"], { stdin: bytes });
  expect(createHash("sha256").update(stdout).digest("hex")).toBe(sum);
});

test("exec sets environment, directory and user", async () => {
  const { stdout } = await sh(
    'echo "$A|$FROM_VM|$HOME|$(pwd)|$(id -un):$(id -gn)"',
    "-e",
    "A=b c",
    "-w",
    "/var",
    "-u",
    "www-data",
  );
  expect(stdout).toBe("b c|yes|/var/www|/var|www-data:www-data\n");
});

test.each([
  ["a user", ["-u", "nobody-knows"], "nobody-knows"],
  ["a directory", ["-w", "/no/such"], "/no/such"],
])("exec with %s that the guest does not have says so", async (_, flags, words) => {
  const { code, stderr } = await sh("true", ...flags);
  expect(code).toBe(125);
  expect(stderr).toContain(words);
});

test("a command that does not exist is 127, one that is no program 126", async () => {
  expect(await home.banger(["exec", "web", "--", "no-such-command"])).toMatchObject({ code: 127 });
  expect(await home.banger(["exec", "web", "--", "/etc/passwd"])).toMatchObject({ code: 126 });
});

test("a command that dies of a signal is 128 plus its number", async () => {
  expect((await sh("kill -TERM $$")).code).toBe(143);
});

test("--timeout kills the command in the guest, with everything that it started", async () => {
  const { code, stderr } = await sh("sleep 1000 & sleep 1000", "--timeout", "1s");
  expect(code).toBe(137);
  expect(stderr).toContain("ran out of time");
  expect((await sh("ps -eo args | grep -c '[s]leep 1000'")).stdout.trim()).toBe("0");
});

test("an exec ends when its command does, though a grandchild keeps its output open", async () => {
  const { code, stdout } = await sh("sleep 300 & echo done");
  expect({ code, stdout }).toEqual({ code: 0, stdout: "done\n" });
  await sh("kill $(ps -eo pid,args | awk '/[s]leep 300/ { print $1 }')");
});

test("cgroups that a command has made in its own go with the last process in them", async () => {
  const make = "own=/sys/fs/cgroup$(cut -d: -f3- /proc/self/cgroup); mkdir -p $own/a/b $own/c";
  const { stdout: ended } = await sh(`${make}; echo $own`);
  expect(ended).toMatch(/^\/sys\/fs\/cgroup\/commands\/exec-\d+\n$/);
  expect((await sh(`[ -e ${ended.trim()} ] || echo gone`)).stdout).toBe("gone\n");

  // What goes on in one of them keeps them all, until it is gone and the agent has heard of it.
  const sleeper = "sleep 1000 </dev/null >/dev/null 2>&1 & echo $! > $own/a/b/cgroup.procs; echo $own $!";
  const { stdout: left } = await sh(`${make}; ${sleeper}`);
  const [own = "", pid = ""] = left.trim().split(" ");
  expect((await sh(`ls -d ${own}/a/b ${own}/c; cat ${own}/a/b/cgroup.procs`)).stdout).toBe(
    `${own}/a/b\n${own}/c\n${pid}\n`,
  );
  expect((await sh(`kill ${pid} && tail -s 0.1 --pid=${pid} -f /dev/null`)).code).toBe(0);
  // Another command: the agent is done with the process before that one begins.
  expect((await sh(`[ -e ${own} ] || echo gone`)).stdout).toBe("gone\n");
});

test("^C of exec reaches the command", async () => {
  const cli = home.start([
    "exec",
    "web",
    "--",
    "sh",
    "-c",
    "trap 'echo caught >&2; exit 7' INT; echo ready >&2; while :; do sleep 0.1; done",
  ]);
  await cli.said("ready");
  cli.kill("SIGINT");
  expect(await cli.result).toMatchObject({ code: 7 });
});

test("a client that is killed takes its command with it", async () => {
  const cli = home.start(["exec", "web", "--", "sh", "-c", "echo ready >&2; exec sleep 777"]);
  await cli.said("ready");
  cli.kill("SIGKILL");
  await cli.result;
  // The kill of the command and this exec travel one channel, in this order.
  expect((await sh("ps -eo args | grep -c '[s]leep 777'")).stdout.trim()).toBe("0");
});

test("a reader that reads nothing stops only its own command", async () => {
  const client = await home.client();
  const stuck = Promise.withResolvers<void>();
  const flood = client.exec("web", { argv: ["cat", "/dev/zero"] }, { onStdout: () => stuck.promise });
  await flood.started;
  expect(await sh("echo alive")).toMatchObject({ code: 0, stdout: "alive\n" });
  stuck.resolve();
  await flood.cancel();
});

test("a terminal has the client's size, follows a resize, and is one stream", async () => {
  const client = await home.client();
  let screen = "";
  const sized = Promise.withResolvers<void>();
  const command = client.exec(
    "web",
    {
      argv: [
        "sh",
        "-c",
        'trap "stty size; exit 3" WINCH; tty; stty size; echo to-stderr >&2; while :; do sleep 0.1; done',
      ],
      tty: { cols: 91, rows: 17, term: "xterm" },
    },
    {
      onStdout: (bytes) => {
        screen += Buffer.from(bytes).toString();
        if (screen.includes("to-stderr")) sized.resolve();
      },
    },
  );
  await sized.promise;
  command.resize({ cols: 120, rows: 40 });
  expect(await command.exit).toMatchObject({ exitCode: 3 });
  expect(screen).toMatch(/\/dev\/pts\/\d+\r\n17 91\r\nto-stderr\r\n/);
  expect(screen).toContain("40 120");
});

test("shell on a terminal is a login bash, and its exit code is banger's", async () => {
  // script(1) gives banger a terminal; the shell reads what it types.
  const child = Bun.spawn(["script", "-qec", `${import.meta.dir}/../../bin/banger shell web`, "/dev/null"], {
    env: { ...process.env, BANGER_HOME: home.home },
    stdin: "pipe",
    stdout: "pipe",
  });
  let screen = "";
  let typed = false;
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    screen += decoder.decode(chunk, { stream: true });
    if (typed || !screen.includes("root@web")) continue;
    typed = true;
    await child.stdin.write("echo shell=$0; tty; exit 5\n");
    await child.stdin.flush();
  }
  expect(await child.exited).toBe(5);
  expect(screen).toMatch(/shell=-?bash/);
  expect(screen).toContain("/dev/pts/");
});
