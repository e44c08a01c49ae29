/**
 * The stub's `jailer`, first half: `jailer.ts PLAN ARGUMENTS…` prepares the jail (src/jailer/src/env.rs) and becomes the jailed
 * program by way of a shell script, one process from beginning to end as the original. It changes neither root nor user: what
 * is jailed is the stub, whose own files are outside.
 */
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { ArgumentError, instanceIdFault, type ParsedArguments, parseArguments } from "./arguments.ts";
import { becomeProgram } from "./become.ts";
import type { StubPlan } from "./plan.ts";
import { createRecorder } from "./record.ts";

const [planPath = "", ...argv] = process.argv.slice(2);
const plan: StubPlan = JSON.parse(readFileSync(planPath, "utf8"));
const record = createRecorder(plan.recordPath);
const FOLDERS = ["", "dev", "dev/net", "run"];
const DEVICES = ["dev/net/tun", "dev/kvm", "dev/urandom"];

try {
  leave(prepare());
} catch (error) {
  // Every refusal of the original's is one line, then the same as Rust shows it.
  const words = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${words}\nError: ${words}\n`);
  process.exitCode = 1;
}

/** The rest of the way, as a shell script. */
function prepare(): string {
  const parsed = parse();
  if (parsed.flags.has("version") || parsed.flags.has("help")) {
    process.stdout.write(`Jailer v${plan.version}\n\n`);
    return "exit 0";
  }
  const id = parsed.values.get("id") ?? "";
  const idFault = instanceIdFault(id);
  if (idFault !== undefined) throw misuse(`Invalid instance ID: ${idFault}`);
  const exec = existing(parsed.values.get("exec-file") ?? "");
  if (!statSync(exec).isFile()) throw misuse(`${exec} is not a file`);
  const base = existing(parsed.values.get("chroot-base-dir") ?? "/srv/jailer");
  if (!statSync(base).isDirectory()) throw misuse(`${base} is not a directory`);
  const owner = { uid: numberOf(parsed, "uid"), gid: numberOf(parsed, "gid") };
  checkLimits(parsed);

  const chroot = join(base, basename(exec), id, "root");
  record({ kind: "jailer", argv, chroot });
  mkdirSync(chroot, { recursive: true });
  build(chroot, exec, owner);
  return launch(parsed, { id, chroot, exec });
}

function parse(): ParsedArguments {
  try {
    return parseArguments(argv, {
      flags: ["daemonize", "new-pid-ns"],
      values: [
        "id",
        "exec-file",
        "uid",
        "gid",
        "chroot-base-dir",
        "netns",
        "cgroup-version",
        "parent-cgroup",
      ],
      lists: ["cgroup", "resource-limit"],
      required: ["exec-file", "gid", "id", "uid"],
      forbids: [],
    });
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw misuse(`Failed to parse arguments: ${error.message}`);
  }
}

function checkLimits({ values, lists }: ParsedArguments): void {
  const version = values.get("cgroup-version") ?? "1";
  if (!["1", "2"].includes(version)) throw misuse(`${version} is an invalid cgroup version specifier`);
  for (const cgroup of lists.get("cgroup") ?? []) {
    const [file = "", value = "", ...more] = cgroup.split("=");
    if (value === "" || more.length > 0) throw misuse(`Invalid format for cgroups: ${cgroup}`);
    if (climbs(file)) throw misuse(`Cgroup invalid file: ${cgroup}`);
  }
  if (climbs(values.get("parent-cgroup") ?? "x"))
    throw misuse("Parent cgroup path is invalid. Path should not be absolute or contain '..' or '.'");
  for (const limit of lists.get("resource-limit") ?? []) {
    const [name = "", value] = limit.split("=");
    if (value === undefined) throw misuse(`Invalid format for resources limits: ${limit}`);
    if (!/^\d+$/.test(value)) throw misuse(`Invalid limit value for resource: ${value}`);
    if (!["fsize", "no-file"].includes(name)) throw misuse(`Invalid resource argument: ${name}`);
  }
  const netns = values.get("netns");
  if (netns !== undefined && !existsSync(netns))
    throw new Error(`Failed to open file ${netns}: No such file or directory (os error 2)`);
}

/** A second jail of the same name fails at what the first one left, as in the original. */
function build(chroot: string, exec: string, owner: { readonly uid: number; readonly gid: number }): void {
  const copy = join(chroot, basename(exec));
  if (existsSync(copy) && lstatSync(copy).nlink > 1) throw new Error(`Detected hard link at: ${copy}`);
  copyFileSync(exec, copy);
  own(copy, owner);
  for (const folder of FOLDERS) {
    const path = join(chroot, folder);
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o700);
    own(path, owner);
  }
  for (const device of DEVICES) {
    const path = join(chroot, device);
    // Only /dev/urandom may be missing in the original.
    if (existsSync(path) && device !== "dev/urandom")
      throw new Error(`Failed to create /${device} via mknod inside the jail: File exists (os error 17)`);
    writeFileSync(path, "");
    own(path, owner);
  }
}

function launch(
  parsed: ParsedArguments,
  jail: { readonly id: string; readonly chroot: string; readonly exec: string },
): string {
  const pidFile = join(jail.chroot, `${basename(jail.exec)}.pid`);
  if (existsSync(pidFile))
    throw new Error(`Failed to open file /${basename(pidFile)}: File exists (os error 17)`);
  const program = [
    "env -i",
    quote(process.execPath),
    quote(join(import.meta.dir, "main.ts")),
    quote(planPath),
    quote(jail.chroot),
    "--id",
    quote(jail.id),
    `--start-time-us ${process.hrtime.bigint() / 1000n} --start-time-cpu-us 1000 --parent-cpu-time-us 1000`,
    ...parsed.extra.map(quote),
  ].join(" ");
  const detaches = parsed.flags.has("daemonize") || parsed.flags.has("new-pid-ns");
  if (!detaches) return `printf %s $$ > ${quote(pidFile)}\nexec ${program}`;
  const streams = parsed.flags.has("daemonize") ? " </dev/null >/dev/null 2>&1" : "";
  return `setsid ${program}${streams} &\nprintf %s $! > ${quote(pidFile)}\nexit 0`;
}

/** The arguments stay where a process is recognised by them. */
function leave(script: string): never {
  becomeProgram(["/bin/sh", "-c", script, "jailer", ...argv]);
}

function existing(path: string): string {
  try {
    accessSync(path, constants.F_OK);
    return realpathSync(path);
  } catch {
    throw new Error(`Failed to canonicalize path ${path}: No such file or directory (os error 2)`);
  }
}

function numberOf({ values }: ParsedArguments, name: "uid" | "gid"): number {
  const text = values.get(name) ?? "";
  if (!/^\d+$/.test(text) || Number(text) > 0xffffffff) throw misuse(`Invalid ${name}: ${text}`);
  return Number(text);
}

/** An ordinary user cannot give files away; the original needs root anyway. */
function own(path: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  if (process.getuid?.() === 0) chownSync(path, uid, gid);
}

function climbs(path: string): boolean {
  return path.startsWith("/") || path.split("/").some((part) => part === "." || part === "..");
}

function misuse(message: string): Error {
  record({ kind: "violation", message: `jailer ${argv.join(" ")}: ${message}` });
  return new Error(message);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
