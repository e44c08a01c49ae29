/** Terminals of a real guest, as a person has them: in tmux, which types, resizes and reads the screen. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { killToTheEnd } from "../support/processes.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";
import { Tmux } from "../support/tmux.ts";

const PROGRAM = process.env["BANGER_PROGRAM"] ?? join(import.meta.dir, "../../bin/banger");

let home: RealHome;
beforeAll(async () => {
  home = await createRealHome();
  expect(await home.banger(["run", "-d", "--name", "web"])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

function env(): Record<string, string> {
  return { BANGER_HOME: home.home, BANGER_TEMPLATES_MAX_COUNT: "0", PS1: "$ ", ENV: "" };
}

/** A host's shell in tmux whose terminal's mode is printed before and after `command`. */
async function start(command: string): Promise<Tmux> {
  const tmux = await Tmux.start(env());
  await tmux.type(
    `stty -g >/tmp/$$; ${PROGRAM} ${command}; echo "code=$?"; stty -g | cmp - /tmp/$$ && echo terminal=same; rm /tmp/$$\n`,
  );
  return tmux;
}

test("shell: what is typed is echoed, the size follows, lines end where they should, and the terminal is as it was", async () => {
  await using tmux = await start("shell web");
  await tmux.shows("root@web:~#");
  await tmux.type("echo one-$((1+1)); stty size; printf 'h\\303\\244user\\n'\n");
  await tmux.shows("one-2");
  await tmux.shows("24 80");
  await tmux.shows("häuser");
  await tmux.resize(100, 30);
  // The size and what is typed come on ways of their own.
  await tmux.type("until [ \"$(stty size)\" != '24 80' ]; do :; done; stty size; echo $TERM\n");
  await tmux.shows("30 100");
  // A line feed alone goes down and not back: what ncurses counts on.
  await tmux.type("stty -opost; printf 'abc\\ndef'; stty opost; echo\n");
  await tmux.shows("   def");
  await tmux.type("exit 5\n");
  await tmux.shows("code=5");
  await tmux.shows("terminal=same");
});

test("shell is left by its keys, goes on, and is joined again with its input", async () => {
  await using tmux = await start("shell web");
  await tmux.shows("root@web:~#");
  await tmux.type("marker=still-here\n");
  await tmux.keys("C-p", "C-q");
  const words = await tmux.shows(/banger exec --attach (\w+) web/);
  await tmux.shows("terminal=same");
  await tmux.shows("code=0");
  await tmux.type(`clear; ${PROGRAM} exec --attach ${words[1] ?? ""} web; echo "again=$?"\n`);
  await tmux.type("echo $marker-$((2+2)); exit 3\n");
  await tmux.shows("still-here-4");
  await tmux.shows("again=3");
});

test("~. ends a shell, and the terminal is as it was", async () => {
  await using tmux = await start("shell web");
  await tmux.shows("root@web:~#");
  await tmux.type("~?");
  await tmux.shows("~.   end the command");
  await tmux.type("~.");
  await tmux.shows("code=125");
  await tmux.shows("terminal=same");
});

test("top shows the VM again and again until ^C", async () => {
  await using tmux = await start("top");
  await tmux.shows("HOST MEMORY");
  await tmux.shows(/^web /m);
  await tmux.keys("C-c");
  // ^C ends the line of the shell, too.
  await tmux.type("echo code=$?; stty -g | cmp - /tmp/$$ && echo terminal=same; rm /tmp/$$\n");
  await tmux.shows("code=130");
  await tmux.shows("terminal=same");
});

test("the terminal is put back when the VM is killed under a shell, and when banger is told to end", async () => {
  await using tmux = await start("shell web");
  await tmux.shows("root@web:~#");
  expect(await home.banger(["kill", "web"])).toMatchObject({ code: 0 });
  await tmux.shows("code=125");
  await tmux.shows("terminal=same");
  expect(await home.banger(["start", "web"])).toMatchObject({ code: 0 });
  await using second = await start("exec -t web -- cat");
  await second.type("ready\n");
  await second.shows("ready\nready");
  for (const pid of await second.children("exec -t web")) process.kill(pid, "SIGHUP");
  await second.shows("terminal=same");
});

test("the terminal is put back when the daemon is killed, when the guest's kernel dies, and when banger is told to end", async () => {
  await using daemon = await start("shell web");
  await daemon.shows("root@web:~#");
  await killToTheEnd(await home.daemonPid());
  await daemon.shows(/code=\d+/);
  await daemon.shows("terminal=same");
  await using told = await start("exec -t web -- cat");
  await told.type("ready\n");
  await told.shows("ready\nready");
  for (const pid of await told.children("exec -t")) process.kill(pid, "SIGTERM");
  await told.shows("code=143");
  await told.shows("terminal=same");
  await using panic = await start("shell web");
  await panic.shows("root@web:~#");
  await panic.type("echo c > /proc/sysrq-trigger\n");
  await panic.shows("code=125");
  await panic.shows("terminal=same");
});
