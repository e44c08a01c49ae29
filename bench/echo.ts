/**
 * How long a key takes to show: typed into `banger shell` on a terminal, against the same straight on the agent's channel; and what two
 * processes on the way cost that do nothing but pass it on.
 */
import { connect } from "node:net";
import { join } from "node:path";
import { Agent } from "../src/guest/agent.ts";
import { type RealGuest, RealGuests } from "../test/support/real-guests.ts";
import type { RealHome } from "../test/support/real-home.ts";
import { printedRow, type Row, ratioRow, summarise } from "./stats.ts";
import { ROOT } from "./tools.ts";

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

/** `home` has the VM `vm`; `scratch` is an empty directory's place. */
export async function benchEcho(home: RealHome, vm: string, scratch: string): Promise<Row[]> {
  await using guests = await RealGuests.create(512);
  const bare = await guests.boot();
  const far = await guests.boot();
  await using relayed = await throughRelays(far, scratch);
  await using shell = await openShell(home, vm);
  const writers = { ours: shell.writer, agents: startCat(bare.agent), relayed: startCat(relayed.agent) };
  const times = { ours: [] as number[], agents: [] as number[], relayed: [] as number[] };
  for (const one of Object.values(writers)) {
    one.type("ready\r");
    await one.shows(READY);
  }
  for (let key = 0; key < WARM_UP + KEYS; key += 1) {
    for (const who of ["ours", "agents", "relayed"] as const) {
      const took = await press(writers[who]);
      if (key >= WARM_UP) times[who].push(took);
    }
  }
  const agents = summarise(times.agents);
  return [
    ratioRow("shell: a key's echo / the agent's", summarise(times.ours), agents, 1.3),
    printedRow("two processes that only pass bytes on / the agent's", summarise(times.relayed), agents),
  ];
}

/** The terminal of a command of the guest, straight on the agent's channel. */
function startCat(agent: Agent): Typewriter {
  const screen = typewriter();
  const tty = { cols: 80, rows: 24, term: "xterm" };
  const spec = { argv: ["cat"], env: {}, cwd: undefined, user: undefined, tty, timeoutMs: 0 };
  const stream = agent.exec("echo", spec, {
    onData: (channel, bytes) => {
      screen.show(bytes);
      stream.returnCredit(channel, bytes.length);
    },
  });
  return screen.on((text) => stream.sendData(Buffer.from(text)));
}

/** The guest's agent with as many processes on the way as a shell has. */
async function throughRelays(
  { agent: near, running }: RealGuest,
  scratch: string,
): Promise<AsyncDisposable & { readonly agent: Agent }> {
  near.close();
  const relays: Bun.Subprocess[] = [];
  let socket = running.handles.sockets["agent"] ?? "";
  for (const name of ["near", "far"]) {
    const listen = join(scratch, `relay-${name}.sock`);
    const relay = Bun.spawn([process.execPath, join(ROOT, "bench/relay.ts"), listen, socket], {
      stdout: "pipe",
    });
    relays.push(relay);
    await relay.stdout.getReader().read();
    socket = listen;
  }
  const signal = new AbortController().signal;
  const agent = await Agent.connect(connect(socket), { fresh: false, signal });
  return {
    agent,
    async [Symbol.asyncDispose]() {
      agent.close();
      for (const relay of relays) await relay.exited;
    },
  };
}

/** `cat` in a shell of the command line. */
async function openShell(
  home: RealHome,
  vm: string,
): Promise<AsyncDisposable & { readonly writer: Typewriter }> {
  const screen = typewriter();
  const shell = Bun.spawn([process.env["BANGER_PROGRAM"] ?? "banger", "shell", vm], {
    env: { ...process.env, BANGER_HOME: home.home, TERM: "xterm" },
    terminal: { cols: 80, rows: 24, data: (_, bytes) => screen.show(bytes) },
  });
  const writer = screen.on((text) => void shell.terminal?.write(text));
  await writer.shows("# ");
  // What is typed before the shell has given its terminal back may be read as the shell wants it, and never end a line.
  writer.type(`exec sh -c 'echo go""es; exec cat'\r`);
  await writer.shows("goes\r\n");
  return {
    writer,
    async [Symbol.asyncDispose]() {
      writer.type("\u0003");
      await shell.exited;
    },
  };
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
