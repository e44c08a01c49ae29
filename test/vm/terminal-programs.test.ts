/** Programs that fill the screen, in a real guest: an editor and a monitor, of the host because the image has none. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { putHostProgram } from "../support/host-program.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";
import { Tmux } from "../support/tmux.ts";

const PROGRAM = process.env["BANGER_PROGRAM"] ?? join(import.meta.dir, "../../bin/banger");

/** The shell waits; what was typed while a program filled the screen may be lost with it. */
const PROMPT = /root@web:~#\s*$/;

let home: RealHome;
beforeAll(async () => {
  home = await createRealHome();
  expect(await home.banger(["run", "-d", "--name", "web"])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

/** A shell of the guest in tmux, which says itself what kind of terminal it is. */
async function enter(term: string): Promise<Tmux> {
  const tmux = await Tmux.start({
    BANGER_HOME: home.home,
    BANGER_TEMPLATES_MAX_COUNT: "0",
    PS1: "$ ",
    ENV: "",
  });
  await tmux.type(`TERM=${term} ${PROGRAM} shell web; echo "code=$?"\n`);
  await tmux.shows("root@web:~#");
  return tmux;
}

test("the guest knows the terminal's kind and its 256 colours", async () => {
  await using tmux = await enter("xterm-256color");
  await tmux.type("clear; echo $TERM has $(tput colors), $(tput cols) by $(tput lines)\n");
  await tmux.shows("xterm-256color has 256, 80 by 24");
  await tmux.type("printf '\\033[38;5;196mred\\033[0m-%s\\n' done\n");
  await tmux.shows("red-done");
  expect(await tmux.screen({ colours: true })).toContain("\u001b[38;5;196mred");
});

test("vim edits a file, and draws itself anew when the terminal has another size", async () => {
  const vim = await putHostProgram(home, "web", "vim.tiny");
  await using tmux = await enter("screen-256color");
  await tmux.type(`${vim} -u NONE /root/note\n`);
  await tmux.shows(/^~\s*$/m);
  await tmux.type("ihäuser");
  await tmux.keys("Escape");
  await tmux.resize(100, 30);
  // It has drawn itself anew: all lines but that of the text and the last one are empty.
  await tmux.shows(/(?:^~ *\n){28}/m);
  await tmux.type(":set lines? columns?\n");
  await tmux.shows(/lines=30\s+columns=100/);
  await tmux.type("\n:wq\n");
  await tmux.shows(PROMPT);
  await tmux.type("clear; cat /root/note; echo at-the-end\n");
  await tmux.shows(/häuser\s+at-the-end/);
});

test("htop shows the guest's processes until it is told to end", async () => {
  const htop = await putHostProgram(home, "web", "htop");
  await using tmux = await enter("screen-256color");
  await tmux.type(`${htop}\n`);
  await tmux.shows("F10");
  await tmux.shows("htop");
  await tmux.type("q");
  await tmux.shows(PROMPT);
  await tmux.type("clear; echo after-$((1+1))\n");
  await tmux.shows("after-2");
  await tmux.type("exit 4\n");
  await tmux.shows("code=4");
});
