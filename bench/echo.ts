/** How long a key takes to show: typed into `banger shell` on a terminal, against the same straight on the agent's channel. */
import { RealGuests } from "../test/support/real-guests.ts";
import type { RealHome } from "../test/support/real-home.ts";
import { type Row, ratioRow, summarise } from "./stats.ts";

/** Before the first that counts, so that both sides run compiled code. */
const WARM_UP = 200;
const KEYS = 300;
const READY = "ready\r\nready\r\n";

/** Something that shows what is typed into it: the kernel's own echo of a terminal that `cat` reads. */
interface Typewriter {
  type(text: string): void;
  /** Resolves when `text` was shown since it was called last. */
  shows(text: string): Promise<void>;
}

export async function benchEcho(home: RealHome, vm: string): Promise<Row[]> {
  await using guests = await RealGuests.create(512);
  const { agent } = await guests.boot();
  const bare = typewriter();
  const stream = agent.exec(
    "echo",
    {
      argv: ["cat"],
      env: {},
      cwd: undefined,
      user: undefined,
      tty: { cols: 80, rows: 24, term: "xterm" },
      timeoutMs: 0,
    },
    {
      onData: (channel, bytes) => {
        bare.show(bytes);
        stream.returnCredit(channel, bytes.length);
      },
    },
  );
  const agents = bare.on((text) => stream.sendData(Buffer.from(text)));
  const screen = typewriter();
  const shell = Bun.spawn([process.env["BANGER_PROGRAM"] ?? "banger", "shell", vm], {
    env: { ...process.env, BANGER_HOME: home.home, TERM: "xterm" },
    terminal: { cols: 80, rows: 24, data: (_, bytes) => screen.show(bytes) },
  });
  const ours = screen.on((text) => void shell.terminal?.write(text));
  await ours.shows("# ");
  // What is typed before the shell has given its terminal back may be read as the shell wants it, and never end a line.
  ours.type(`exec sh -c 'echo go""es; exec cat'\r`);
  await ours.shows("goes\r\n");
  const times = { ours: [] as number[], agents: [] as number[] };
  for (const one of [ours, agents]) {
    one.type("ready\r");
    await one.shows(READY);
  }
  for (let key = 0; key < WARM_UP + KEYS; key += 1) {
    const pair = { ours: await press(ours), agents: await press(agents) };
    if (key < WARM_UP) continue;
    times.ours.push(pair.ours);
    times.agents.push(pair.agents);
  }
  ours.type("\u0003");
  await shell.exited;
  stream.reset();
  return [ratioRow("shell: a key's echo / the agent's", summarise(times.ours), summarise(times.agents), 1.3)];
}

async function press(one: Typewriter): Promise<number> {
  const from = performance.now();
  one.type("x");
  await one.shows("x");
  return performance.now() - from;
}

function typewriter(): { show(bytes: Uint8Array): void; on(type: (text: string) => void): Typewriter } {
  let seen = "";
  let look = (): void => undefined;
  return {
    show: (bytes) => {
      seen += Buffer.from(bytes).toString("latin1");
      look();
    },
    on: (type) => ({
      type,
      shows: async (text) => {
        await new Promise<void>((resolve) => {
          look = () => {
            if (seen.includes(text)) resolve();
          };
          look();
        });
        seen = "";
      },
    }),
  };
}
