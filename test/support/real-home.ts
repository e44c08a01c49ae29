/**
 * A BANGER_HOME of its own for tests with real guests, driven through bin/banger as a user would. Kernel, image and initramfs
 * are made once, by the program itself, and hard-linked into every home.
 */
import {
  cpSync,
  existsSync,
  type FSWatcher,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
} from "node:fs";
import { copyFile, link } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Glob } from "bun";
import { ImageBlobs } from "../../src/images/blobs.ts";
import { Client } from "../../src/sdk/client.ts";
import { openStore } from "../../src/store/store.ts";
import { networkRemains } from "./network-remains.ts";
import { hypervisorsOf } from "./processes.ts";
import { chownTree } from "./trees.ts";
import { Words } from "./words.ts";

const ROOT = join(import.meta.dir, "../..");
const PROGRAM = process.env["BANGER_PROGRAM"] ?? join(ROOT, "bin/banger");
/** Survives a test run; `npm ci` removes it. */
const PREPARED = join(ROOT, "node_modules/.cache/banger-test-2");

const NO_TEMPLATES = { BANGER_TEMPLATES_MAX_COUNT: "0" };

export interface CliResult {
  readonly code: number;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** The directory that the command is called in. */
  readonly cwd?: string;
}

export interface RealHome extends AsyncDisposable {
  readonly home: string;
  /** Runs a command to its end. */
  banger(args: readonly string[], options?: CliOptions): Promise<CliResult>;
  /** The same of one that succeeds; an error with its words otherwise. */
  must(args: readonly string[], options?: CliOptions): Promise<CliResult>;
  /** Starts a command, for tests that interrupt it. */
  start(args: readonly string[], options?: CliOptions): StartedCli;
  client(): Promise<Client>;
  /** Resolves when the hypervisor of some VM has opened its console: the guest is about to boot. */
  hypervisorStarted(): Promise<void>;
  /** Live hypervisors whose sockets are under this home. */
  hypervisors(): number[];
  daemonPid(): Promise<number>;
}

export interface StartedCli {
  readonly pid: number;
  kill(signal: "SIGINT" | "SIGTERM" | "SIGKILL"): void;
  /** Resolves when stderr contains `text`; rejects when the program ends without. */
  said(text: string): Promise<void>;
  /** The same of stdout. */
  printed(text: string): Promise<void>;
  readonly result: Promise<CliResult>;
}

/**
 * Makes one; `bare` has no image and no kernel; only with `templates` are templates made and used, which else would boot machines
 * of their own in the middle of a test. Disposing removes its VMs, and fails when a hypervisor is left.
 */
export async function createRealHome(
  options: {
    readonly bare?: boolean;
    readonly templates?: boolean;
    /** Default: bin/banger of this checkout. */
    readonly program?: string;
    /** Whose it is; default: whoever runs the test. */
    readonly uid?: number;
    /** For every command, and so for the daemon. */
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<RealHome> {
  const home = mkdtempSync(join(tmpdir(), "banger-vm-"));
  if (options.bare !== true) await furnish(home, options.uid !== undefined);
  if (options.uid !== undefined) chownTree(home, options.uid);
  const env = { ...(options.templates === true ? {} : NO_TEMPLATES), ...options.env };
  const start = (args: readonly string[], cli: CliOptions = {}): StartedCli =>
    startCli(home, args, { ...cli, program: options.program, env: { ...env, ...cli.env } });
  const banger = async (args: readonly string[], cli: CliOptions = {}): Promise<CliResult> =>
    await start(args, cli).result;
  const running = (): number[] => hypervisorsOf(home);
  const must = async (args: readonly string[], cli: CliOptions = {}): Promise<CliResult> => {
    const result = await banger(args, cli);
    if (result.code !== 0) throw new Error(`banger ${args.join(" ")}: ${result.code}: ${result.stderr}`);
    return result;
  };
  return {
    home,
    banger,
    must,
    hypervisors: running,
    hypervisorStarted: async () => {
      const vms = join(home, "vms");
      await appears(vms, (id) => existsSync(join(vms, id, "console.log")));
    },
    start,
    client: async () => await Client.create(join(home, "run/bangerd.sock")),
    daemonPid: async () => {
      const { stdout } = await banger(["daemon", "status", "--json"]);
      return (JSON.parse(stdout) as { pid: number }).pid;
    },
    async [Symbol.asyncDispose]() {
      const { stdout } = await banger(["ps", "-a", "-q"]);
      const ids = stdout.split("\n").filter((id) => id !== "");
      if (ids.length > 0) await banger(["rm", "-f", ...ids]);
      await banger(["daemon", "stop"]);
      const left = running();
      for (const pid of left) process.kill(pid, "SIGKILL");
      const rooms = [join(home, "vms"), join(home, "run")]
        .filter((dir) => existsSync(dir))
        .flatMap((dir) => readdirSync(dir));
      const directories = rooms.filter((name) => /^[0-9a-f]{12}$/.test(name));
      const log = readFileSync(join(home, "bangerd.log"), "utf8");
      rmSync(home, { recursive: true, force: true });
      const network = networkRemains(home);
      if (network.length > 0) throw new Error(`this test left of its network: ${network.join(", ")}`);
      if (left.length > 0) throw new Error(`this test left hypervisors: ${left.join(", ")}`);
      if (directories.length > 0)
        throw new Error(`this test left directories of VMs: ${directories.join(", ")}\n${log}`);
    },
  };
}

/** Runs a command with that home, which makes and uses no templates, to its end. */
export async function runBanger(home: string, args: readonly string[]): Promise<CliResult> {
  return await startBanger(home, args).result;
}

/** The same of one that is interrupted. */
export function startBanger(home: string, args: readonly string[]): StartedCli {
  return startCli(home, args, { env: NO_TEMPLATES });
}

function startCli(
  home: string,
  args: readonly string[],
  options: CliOptions & { readonly program?: string | undefined },
): StartedCli {
  const child = Bun.spawn([options.program ?? PROGRAM, ...args], {
    cwd: options.cwd ?? "/",
    env: { ...process.env, BANGER_HOME: home, NO_COLOR: "1", ...options.env },
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [printed, said] = [new Words(child.stdout), new Words(child.stderr)];
  const result = Promise.all([printed.whole, said.whole, child.exited]).then(([stdout, stderr]) => ({
    code: child.exitCode ?? -1,
    signal: child.signalCode === null ? undefined : String(child.signalCode),
    stdout,
    stderr,
  }));
  return {
    pid: child.pid,
    kill: (signal) => child.kill(signal),
    result,
    said: async (text) => await said.until(text, result),
    printed: async (text) => await printed.until(text, result),
  };
}

/** Watches `dir`, which exists, and what comes to be in it, until an entry of it fits. */
async function appears(dir: string, fits: (entry: string) => boolean): Promise<void> {
  const found = Promise.withResolvers<void>();
  const watchers = new Map<string, FSWatcher>();
  const look = (): void => {
    for (const entry of readdirSync(dir)) {
      if (fits(entry)) found.resolve();
      if (!watchers.has(entry)) watchers.set(entry, watch(join(dir, entry), look));
    }
  };
  watchers.set(".", watch(dir, look));
  try {
    look();
    await found.promise;
  } finally {
    for (const watcher of watchers.values()) watcher.close();
  }
}

/** Hard-links what was prepared, or copies it for a user who is to own it, and registers the image. */
async function furnish(home: string, isCopy: boolean): Promise<void> {
  await prepareRealHomes();
  for (const path of new Glob("{images,kernels,cache}/**/*").scanSync({ cwd: PREPARED, onlyFiles: true })) {
    const target = join(home, path);
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    if (isCopy) await copyFile(join(PREPARED, path), target);
    // Another file system (EXDEV) takes a copy.
    else await link(join(PREPARED, path), target).catch(() => copyFile(join(PREPARED, path), target));
  }
  const blobs = new ImageBlobs(join(home, "images"));
  using store = openStore(join(home, "state.db"));
  for (const digest of await blobs.list()) {
    const image = await blobs.read(digest);
    store.images.upsert({ ...image, name: "debian", createdAt: image.createdAtMs });
  }
}

let prepared: Promise<void> | undefined;

/**
 * One real build of kernel and image, and one real boot, fill the prepared home: what every later home starts with. It needs Debian's
 * archive, so a test that takes this process off the network asks for it before.
 */
export async function prepareRealHomes(): Promise<void> {
  prepared ??= (async () => {
    if (existsSync(PREPARED)) return;
    // Made in a short path, because sockets must fit into it, and published by rename.
    const home = mkdtempSync(join(tmpdir(), "banger-vm-"));
    try {
      for (const args of [
        ["run", "--rm", "--", "true"],
        ["daemon", "stop"],
      ]) {
        const { code, stderr } = await runBanger(home, args);
        if (code !== 0)
          throw new Error(`preparing kernel and image failed: banger ${args.join(" ")}: ${stderr}`);
      }
      const aside = `${PREPARED}.new`;
      rmSync(aside, { recursive: true, force: true });
      for (const room of ["images", "kernels", "cache"]) {
        cpSync(join(home, room), join(aside, room), { recursive: true });
      }
      renameSync(aside, PREPARED);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  })();
  await prepared;
}
