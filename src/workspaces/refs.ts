/** The references that a copy gets: what is checked out, and every branch and tag that leads to what travels. */
import { BangerError } from "../model/errors.ts";
import { type GitOptions, gitRecords, tryGitLine } from "./git.ts";
import { ObjectReader } from "./objects.ts";
import type { Repository } from "./repository.ts";

export interface Ref {
  readonly name: string;
  readonly oid: string;
  /** What an annotated tag leads to. */
  readonly peeled: string | undefined;
  /** The reference that this one stands for. */
  readonly symbolic: string | undefined;
}

export interface Refs {
  readonly head: string | undefined;
  /** As `refs/heads/…`; undefined: no branch. */
  readonly branch: string | undefined;
  readonly all: readonly Ref[];
  /** Commits whose parents do not travel. */
  readonly shallow: readonly string[];
}

export interface RefOptions {
  readonly branch?: string | undefined;
  readonly from?: string | undefined;
  readonly depth?: number | undefined;
}

const KINDS = ["refs/heads", "refs/tags", "refs/remotes", "refs/notes"];
const MAX_REFS = 1_000_000;
/** `--depth` reads commits one by one. */
const MAX_DEPTH_COMMITS = 1_000_000;

/** Errors: `not_found` (no such revision), `already_exists` (the branch), `invalid_argument` (no name of a branch). */
export async function collectRefs(
  repository: Repository,
  git: GitOptions,
  options: RefOptions,
): Promise<Refs> {
  const found = await listRefs(git);
  const from = options.from === undefined ? repository.head : await resolveCommit(git, options.from);
  const branch = options.branch === undefined ? undefined : await newBranch(git, found, options.branch);
  const wanted = {
    head: from,
    branch: branch ?? (options.from === undefined ? repository.branch : undefined),
  };
  const made: Ref[] =
    branch === undefined || from === undefined
      ? []
      : [{ name: branch, oid: from, peeled: undefined, symbolic: undefined }];
  const all = [...found, ...made];
  if (options.depth === undefined || from === undefined) {
    return { ...wanted, all, shallow: repository.shallow };
  }
  const reach = await walk(git, from, { depth: options.depth, ends: new Set(repository.shallow) });
  const leads = ({ oid, peeled, symbolic, name }: Ref): boolean =>
    symbolic === undefined && !name.startsWith("refs/notes/") && reach.commits.has(peeled ?? oid);
  return { ...wanted, all: all.filter(leads), shallow: [...reach.ends] };
}

/** The commit that a revision names. Errors: `not_found`. */
export async function resolveCommit(git: GitOptions, revision: string): Promise<string> {
  const failure = (): BangerError => noRevision(revision);
  const found = await tryGitLine(
    ["rev-parse", "--quiet", "--verify", "--end-of-options", `${revision}^{commit}`],
    { ...git, failure },
  );
  if (found === undefined) throw noRevision(revision);
  return found;
}

/** The file `packed-refs`. */
export function packedRefs(refs: readonly Ref[]): Buffer {
  const lines = refs
    .filter(({ symbolic }) => symbolic === undefined)
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.name, "latin1"), Buffer.from(b.name, "latin1")))
    .map(({ name, oid, peeled }) => `${oid} ${name}\n${peeled === undefined ? "" : `^${peeled}\n`}`);
  return Buffer.from(`# pack-refs with: peeled fully-peeled sorted \n${lines.join("")}`, "latin1");
}

/** Names are latin1 for bytes, as everywhere here. */
async function listRefs(git: GitOptions): Promise<Ref[]> {
  const refs: Ref[] = [];
  const format = "%(objectname) %(refname)%00%(*objectname)%00%(symref)%00";
  const fields: string[] = [];
  for await (const field of gitRecords(["for-each-ref", `--format=${format}`, ...KINDS], git)) {
    fields.push(field.toString("latin1"));
    if (fields.length < 3) continue;
    const [line = "", peeled = "", symbolic = ""] = fields.splice(0);
    const [oid = "", name = ""] = line.replace(/^\n/, "").split(" ");
    if (refs.length >= MAX_REFS)
      throw new BangerError("resource_exhausted", `there are more than ${MAX_REFS} refs`);
    refs.push({
      name,
      oid,
      peeled: peeled === "" ? undefined : peeled,
      symbolic: symbolic === "" ? undefined : symbolic,
    });
  }
  return refs;
}

async function newBranch(git: GitOptions, refs: readonly Ref[], branch: string): Promise<string> {
  const failure = (): BangerError => badBranch(branch);
  const isName = await tryGitLine(["check-ref-format", "--branch", branch], { ...git, failure });
  if (isName !== branch) throw badBranch(branch);
  const name = Buffer.from(`refs/heads/${branch}`).toString("latin1");
  const clash = refs.find(
    (ref) => ref.name === name || ref.name.startsWith(`${name}/`) || name.startsWith(`${ref.name}/`),
  );
  if (clash === undefined) return name;
  throw new BangerError(
    "already_exists",
    `the branch ${clash.name.replace("refs/heads/", "")} exists already`,
    {
      cure: "choose another name, or check it out on the host and leave --branch away",
      details: { field: "branch" },
    },
  );
}

/** The commits within `depth` of one, level by level. */
async function walk(
  git: GitOptions,
  from: string,
  { depth, ends }: { readonly depth: number; readonly ends: ReadonlySet<string> },
): Promise<{ commits: ReadonlySet<string>; ends: ReadonlySet<string> }> {
  await using reader = new ObjectReader(git);
  const commits = new Set<string>([from]);
  const found = new Set<string>();
  let level = [from];
  for (let left = depth; level.length > 0; left -= 1) {
    const next: string[] = [];
    for (const oid of level) {
      const parents = ends.has(oid) ? [] : await readParents(reader, oid);
      if (ends.has(oid)) found.add(oid);
      if (left <= 1 && parents.length > 0) found.add(oid);
      else next.push(...parents.filter((parent) => !commits.has(parent)));
      for (const parent of left <= 1 ? [] : parents) commits.add(parent);
      if (commits.size > MAX_DEPTH_COMMITS) {
        throw new BangerError(
          "resource_exhausted",
          `--depth reaches more than ${MAX_DEPTH_COMMITS} commits`,
          {
            cure: "leave --depth away: everything travels then, and faster",
          },
        );
      }
    }
    level = [...new Set(next)];
  }
  return { commits, ends: found };
}

async function readParents(reader: ObjectReader, oid: string): Promise<string[]> {
  await reader.open(oid);
  const text = (await reader.whole()).toString("latin1");
  const headers = text.slice(0, text.indexOf("\n\n"));
  return [...headers.matchAll(/^parent ([0-9a-f]+)$/gm)].map((match) => match[1] ?? "");
}

function noRevision(revision: string): BangerError {
  return new BangerError("not_found", `the repository has no revision ${JSON.stringify(revision)}`, {
    cure: "name a branch, a tag or a commit; see: git log --oneline --all",
    details: { field: "from" },
  });
}

function badBranch(branch: string): BangerError {
  return new BangerError("invalid_argument", `${JSON.stringify(branch)} cannot be the name of a branch`, {
    cure: "see the rules with: git help check-ref-format",
    details: { field: "branch" },
  });
}
