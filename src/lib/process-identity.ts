/**
 * Which process is which, beyond its pid: a pid is reused, but never together with its start time within one boot of
 * the host. Everything is read from /proc (proc(5)).
 */
import { readdirSync, readFileSync, statSync } from "node:fs";

/** A process identity that cannot be mistaken for a later process with the same pid. */
export interface ProcessHandle {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: ticks since boot (proc(5)). */
  readonly startTicks: number;
  /** /proc/sys/kernel/random/boot_id of the host at the time. */
  readonly bootId: string;
}

/** What /proc/PID/stat says. Times are in ticks of 1/100 s. */
export interface ProcessStat {
  /** `R S D T t Z X …`; Z (zombie) and X (dead) have ended. */
  readonly state: string;
  readonly userTicks: number;
  readonly systemTicks: number;
  readonly startTicks: number;
}

/** The identity of a live process; undefined when there is none or it has ended. */
export function identifyProcess(pid: number): ProcessHandle | undefined {
  const stat = readProcessStat(pid);
  if (stat === undefined || hasEnded(stat)) return undefined;
  return { pid, startTicks: stat.startTicks, bootId: readBootId() };
}

/** Whether this very process runs. One that has ended and waits to be reaped does not. */
export function isAlive(handle: ProcessHandle): boolean {
  if (handle.bootId !== readBootId()) return false;
  const stat = readProcessStat(handle.pid);
  return stat !== undefined && !hasEnded(stat) && stat.startTicks === handle.startTicks;
}

export interface MarkOptions {
  /** Whose processes count, so that another user's cannot pass for ours. Default: this process's own user's. */
  readonly isOurs?: (uid: number) => boolean;
  /** The options whose value the marker is, as `--id`. Default: it may be any argument. */
  readonly behind?: readonly string[];
}

/**
 * The live processes that are called `marker`, or one of whose arguments is exactly that; in ascending order of pid. Ones that end
 * meanwhile are left out, and so are ones that are in the middle of execve(2): see `findAllByCommandLine`.
 */
export function findByCommandLine(marker: string, options: MarkOptions = {}): readonly ProcessHandle[] {
  const { isOurs = isOwnUid } = options;
  return findProcesses((pid) => isMarked(readCommandLine(pid), marker, options), isOurs);
}

/** Whether these arguments have the marker in its place. Who merely speaks of it, as `grep MARKER` does, has it elsewhere. */
export function isMarked(
  words: readonly string[],
  marker: string,
  { behind }: Pick<MarkOptions, "behind">,
): boolean {
  return words.some(
    (word, at) =>
      word === marker && (at === 0 || behind === undefined || behind.includes(words[at - 1] ?? "")),
  );
}

/** The live processes that `fits` accepts, of users that `isOurs` accepts, in ascending order of pid. */
export function findProcesses(
  fits: (pid: number) => boolean,
  isOurs: (uid: number) => boolean,
): readonly ProcessHandle[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => fits(pid) && isOurs(userOf(pid)))
    .sort((one, other) => one - other)
    .map(identifyProcess)
    .filter((handle) => handle !== undefined);
}

export function isOwnUid(uid: number): boolean {
  return uid === process.geteuid?.();
}

/** /proc/PID belongs to the process's effective user (proc(5)); -1 when it has ended. */
function userOf(pid: number): number {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid ?? -1;
}

/** The arguments of a process, its own name first; empty when it has ended or is a kernel thread. */
export function readCommandLine(pid: number): readonly string[] {
  return (readProc(`/proc/${pid}/cmdline`) ?? "").split("\0").slice(0, -1);
}

export function readProcessStat(pid: number): ProcessStat | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  return text === undefined ? undefined : parseProcessStat(text);
}

/** Parses /proc/PID/stat. The second field is the program's name in brackets and may itself hold brackets and spaces. */
export function parseProcessStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  // proc(5) counts from 1, and the first field here is its third.
  const field = (number: number): string => fields[number - 3] ?? "";
  return {
    state: field(3),
    userTicks: Number(field(14)),
    systemTicks: Number(field(15)),
    startTicks: Number(field(22)),
  };
}

/** The id of this boot of the host. */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

function hasEnded(stat: ProcessStat): boolean {
  return stat.state === "Z" || stat.state === "X";
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // ESRCH: it ended between open and read.
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}
