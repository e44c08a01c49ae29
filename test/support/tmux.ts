/** A terminal with somebody at it: a shell in a tmux server of the test's own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A screen that does not show what is waited for by then never will. */
const PATIENCE_MS = 60_000;

export class Tmux implements AsyncDisposable {
  readonly #socket: string;
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
    this.#socket = join(dir, "s");
  }

  /** A plain `sh` on 80 columns and 24 rows. */
  static async start(env: Readonly<Record<string, string>>): Promise<Tmux> {
    const tmux = new Tmux(mkdtempSync(join(tmpdir(), "banger-tmux-")));
    const set = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
    await tmux.#run(["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", ...set, "sh"]);
    return tmux;
  }

  async type(text: string): Promise<void> {
    await this.#run(["send-keys", "-l", text.replaceAll("\n", "\r")]);
  }

  /** Keys by tmux's names, such as C-c. */
  async keys(...names: readonly string[]): Promise<void> {
    await this.#run(["send-keys", ...names]);
  }

  async resize(cols: number, rows: number): Promise<void> {
    await this.#run(["resize-window", "-x", String(cols), "-y", String(rows)]);
  }

  /** Resolves when the screen shows it. tmux itself tells when something was written there, so that nothing is asked in vain. */
  async shows(wanted: string | RegExp): Promise<RegExpExecArray> {
    const pattern = typeof wanted === "string" ? new RegExp(RegExp.escape(wanted)) : wanted;
    const watch = Bun.spawn(["tmux", "-S", this.#socket, "-C", "attach", "-r", "-f", "ignore-size"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    try {
      for await (const _ of watch.stdout) {
        const found = pattern.exec(await this.screen());
        if (found !== null) return found;
      }
      throw new Error(`the screen never showed ${String(wanted)}, but:\n${await this.screen()}`);
    } finally {
      watch.kill();
      await watch.exited;
    }
  }

  /** What it shows; with `colours`, the sequences that make them too. */
  async screen({ colours = false }: { readonly colours?: boolean } = {}): Promise<string> {
    return await this.#run(["capture-pane", "-p", ...(colours ? ["-e"] : [])]);
  }

  /** Processes whose command line has `words`, below the shell. */
  async children(words: string): Promise<number[]> {
    const shell = (await this.#run(["list-panes", "-F", "#{pane_pid}"])).trim();
    const list = Bun.spawn(["ps", "--ppid", shell, "-o", "pid=,args="], { stdout: "pipe" });
    const lines = (await list.stdout.text()).split("\n").filter((line) => line.includes(words));
    return lines.map((line) => Number.parseInt(line, 10));
  }

  async #run(args: readonly string[]): Promise<string> {
    const child = Bun.spawn(["tmux", "-S", this.#socket, ...args], { stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    if ((await child.exited) !== 0) throw new Error(`tmux ${args.join(" ")}: ${err}`);
    return out;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run(["kill-server"]);
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
