/** Commits and references that were made in the guest, taken over into the shadow. Every object is checked against its name. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { inflate } from "node:zlib";
import { temporaryName } from "../lib/publish.ts";
import type { Member } from "../lib/tar/member.ts";
import { TarReader } from "../lib/tar/reader.ts";
import { BangerError } from "../model/errors.ts";
import { type GitOptions, runGit, tryGitLine } from "./git.ts";
import { type GuestRefs, readGuestRefs } from "./guest-refs.ts";
import type { WorkspaceView } from "./guest-state.ts";
import { shown } from "./names.ts";
import type { ScannedFile } from "./scan.ts";

/** Bytes of one object that is not in a pack; git packs larger ones when they are fetched. */
const MAX_OBJECT = 256 * 2 ** 20;
/** Bytes of objects and packs that one command takes from a guest. */
const MAX_TAKEN = 16 * 2 ** 30;

export interface HistoryOptions {
  readonly scanned: readonly ScannedFile[];
  readonly signal: AbortSignal;
}

/** The guest's references, after everything that they lead to is in the shadow. Errors: `guest_error` for what is no repository. */
export async function readGuestHistory(view: WorkspaceView, options: HistoryOptions): Promise<GuestRefs> {
  const { scanned, signal } = options;
  if (scanned.some(({ name }) => name.equals(REFTABLE))) {
    throw new BangerError("unsupported", "the guest's repository keeps its references as a reftable", {
      cure: "convert it in the guest: git refs migrate --ref-format=files",
    });
  }
  await takeObjects(view, options);
  const refs = await readGuestRefs(view, options);
  await writeRefs({ signal, gitDir: view.places.shadow }, refs);
  return refs;
}

/** The tree of a revision of the guest's repository. Errors: `not_found`, those of `readGuestHistory`. */
export async function resolveTree(
  view: WorkspaceView,
  { revision, ...options }: HistoryOptions & { readonly revision: string },
): Promise<string> {
  await readGuestHistory(view, options);
  const failure = (): BangerError => noRevision(revision);
  const git: GitOptions = { signal: options.signal, gitDir: view.places.shadow, failure };
  const asked = ["rev-parse", "--quiet", "--verify", "--end-of-options", `${revision}^{tree}`];
  const tree = await tryGitLine(asked, git);
  if (tree === undefined) throw noRevision(revision);
  return tree;
}

const REFTABLE = Buffer.from(".git/reftable");
const LOOSE = /^\.git\/objects\/([0-9a-f]{2})\/([0-9a-f]{38}|[0-9a-f]{62})$/;
const PACK = /^\.git\/objects\/pack\/pack-[0-9a-f]{40,64}\.pack$/;

const CLOCK_STEP_NS = 50_000_000n;

/** What came to be since the arrival, by its change time. */
async function takeObjects(
  { record, guest, places }: WorkspaceView,
  { scanned, signal }: HistoryOptions,
): Promise<void> {
  // A kernel's clock for files goes in steps; what came with the arrival is known, and is not taken twice.
  const arrived = BigInt(record.arrivedAtNs) - CLOCK_STEP_NS;
  const fresh = scanned.filter(({ kind, ctimeNs }) => kind === "file" && ctimeNs > arrived);
  const objects = join(places.shadow, "objects");
  const loose = fresh.filter(({ name }) => {
    const [, directory = "", rest = ""] = LOOSE.exec(name.toString("latin1")) ?? [];
    return directory !== "" && !existsSync(join(objects, directory, rest));
  });
  let left = MAX_TAKEN;
  for await (const { member, reader } of picked(
    { record, guest },
    loose.map(({ name }) => name),
  )) {
    const [, directory = "", rest = ""] = LOOSE.exec(member.name.toString("latin1")) ?? [];
    if (member.size > MAX_OBJECT) throw tooLarge(member.name);
    left -= member.size;
    if (left < 0) throw tooMuch();
    await putLoose(objects, [directory, rest], await contentOf(reader));
  }
  const packs = fresh.filter(({ name }) => PACK.test(name.toString("latin1"))).map(({ name }) => name);
  const git: GitOptions = { signal, gitDir: places.shadow };
  for await (const { member, reader } of picked({ record, guest }, packs)) {
    left -= member.size;
    if (left < 0) throw tooMuch();
    const stdin = piecesOf(reader);
    await runGit(["index-pack", "--stdin", "--fix-thin", `--max-input-size=${MAX_TAKEN}`], { ...git, stdin });
  }
}

/** Files that the guest sends of those that were asked for, each once. Errors: `guest_error` for any other. */
async function* picked(
  { record, guest }: Pick<WorkspaceView, "record" | "guest">,
  names: readonly Buffer[],
): AsyncGenerator<{ readonly member: Member; readonly reader: TarReader }> {
  const wanted = new Set(names.map((name) => name.toString("latin1")));
  for await (const archive of guest.pick(record.guestPath, names)) {
    const reader = new TarReader(archive);
    for (let member = await reader.next(); member !== undefined; member = await reader.next()) {
      if (!wanted.delete(member.name.toString("latin1"))) {
        throw new BangerError("guest_error", `the guest sent ${shown(member.name)}, which was not asked for`);
      }
      if (member.kind === "file") yield { member, reader };
    }
  }
}

const inflated = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate);

/** Keeps an object whose name is right (gitformat-loose(5)). */
async function putLoose(
  objects: string,
  [directory, rest]: readonly [string, string],
  stored: Buffer,
): Promise<void> {
  const name = `${directory}${rest}`;
  const content = await inflated(stored, { maxOutputLength: MAX_OBJECT }).catch((cause: unknown) => {
    throw new BangerError("guest_error", `the guest's object ${name} is damaged`, { cause });
  });
  const header = /^(blob|tree|commit|tag) (\d+)\0/.exec(content.toString("latin1", 0, 32));
  const digest = createHash(name.length === 40 ? "sha1" : "sha256")
    .update(content)
    .digest("hex");
  if (header === null || digest !== name || Number(header[2]) !== content.length - header[0].length) {
    throw new BangerError("guest_error", `the guest's object ${name} is not what its name says`);
  }
  mkdirSync(join(objects, directory), { recursive: true, mode: 0o700 });
  const aside = join(objects, temporaryName());
  try {
    writeFileSync(aside, stored, { mode: 0o400 });
    renameSync(aside, join(objects, directory, rest));
  } finally {
    rmSync(aside, { force: true });
  }
}

async function contentOf(reader: TarReader): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of piecesOf(reader)) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* piecesOf(reader: TarReader): AsyncGenerator<Buffer> {
  for (let piece = await reader.content(); piece !== undefined; piece = await reader.content())
    yield Buffer.from(piece);
}

/** Only references to what is there: the others lead nowhere. */
async function writeRefs(git: GitOptions, { head, refs }: GuestRefs): Promise<void> {
  const names = [...refs.keys()].toSorted();
  const oids = [...new Set([...refs.values(), ...(head?.oid === undefined ? [] : [head.oid])])];
  const checked = await runGit(["cat-file", "--batch-check=%(objectname) %(objecttype)"], {
    ...git,
    stdin: Buffer.from(oids.map((oid) => `${oid}\n`).join("")),
  });
  const there = new Set(
    checked
      .toString("latin1")
      .split("\n")
      .filter((line) => !line.endsWith(" missing"))
      .map((line) => line.split(" ")[0] ?? ""),
  );
  const lines = names.flatMap((name) => {
    const oid = refs.get(name) ?? "";
    return there.has(oid) ? [`${oid} ${name}\n`] : [];
  });
  const gitDir = git.gitDir ?? "";
  writeFileSync(join(gitDir, "packed-refs"), Buffer.from(`# pack-refs with: \n${lines.join("")}`, "latin1"));
  const text = head?.branch === undefined ? (head?.oid ?? "ref: refs/heads/banger") : `ref: ${head.branch}`;
  writeFileSync(join(gitDir, "HEAD"), Buffer.from(`${text}\n`, "latin1"));
}

function tooLarge(name: Buffer): BangerError {
  return new BangerError(
    "resource_exhausted",
    `${shown(name)} in the guest has more than ${MAX_OBJECT / 2 ** 20} MiB`,
    {
      cure: "pack it in the guest: git gc",
    },
  );
}

function tooMuch(): BangerError {
  return new BangerError(
    "resource_exhausted",
    `the guest's repository has more than ${MAX_TAKEN / 2 ** 30} GiB of new objects`,
    { cure: "take the work out as a patch: banger workspace export" },
  );
}

function noRevision(revision: string): BangerError {
  return new BangerError("not_found", `the guest's repository has no revision ${JSON.stringify(revision)}`, {
    cure: "name a commit or branch of the workspace, or leave --base away for everything since it arrived",
    details: { field: "base" },
  });
}
