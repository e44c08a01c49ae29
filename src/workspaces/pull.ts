/** `pull`: the commits of a guest become a branch of the host's repository. Work tree and index are not looked at. */
import { BangerError } from "../model/errors.ts";
import { quote } from "../model/names.ts";
import { type GitOptions, gitLine, gitRecords, openGit, runGit, tryGitLine } from "./git.ts";
import { readGuestHistory } from "./guest-history.ts";
import { readGuestState, type WorkspaceView } from "./guest-state.ts";
import { findRepository } from "./repository.ts";
import { gitOf } from "./survey.ts";

export interface PullOptions {
  readonly signal: AbortSignal;
  /** The branch on the host, without `refs/heads/`. */
  readonly branch: string;
  /** Also when the branch would lose commits. */
  readonly force: boolean;
  readonly onStep: (step: string) => void;
}

export interface Pulled {
  readonly branch: string;
  readonly head: string;
  /** That the branch did not have. */
  readonly commits: number;
  /** Something in the guest is not committed, and did not come. */
  readonly uncommitted: boolean;
  readonly notes: readonly string[];
}

/**
 * Errors: `failed_precondition` (nothing is committed, the branch is checked out), `conflict` (the branch has commits of its own),
 * `guest_error` (objects that are none), those of `findRepository` but for what is in progress there.
 */
export async function pullCommits(view: WorkspaceView, options: PullOptions): Promise<Pulled> {
  const pulled = await tryPull(view, { ...options, onlyNew: false });
  if (pulled !== undefined) return pulled;
  throw nothingCommitted(view.record.guestPath);
}

/**
 * As `pullCommits`; undefined where nothing is committed. `onlyNew`: no branch is made for what the host has already, and `uncommitted`
 * is only what was changed since the arrival.
 */
export async function tryPull(
  view: WorkspaceView,
  options: PullOptions & { readonly onlyNew: boolean },
): Promise<Pulled | undefined> {
  const { record, places } = view;
  const { signal, branch, onStep, onlyNew } = options;
  const repository = await findRepository(record.hostPath, signal, { busy: true });
  const state = await readGuestState(view, { signal });
  const history = await readGuestHistory(view, { scanned: state.scanned, signal });
  const shadow: GitOptions = { signal, gitDir: places.shadow };
  const head = await tryGitLine(["rev-parse", "--quiet", "--verify", "HEAD^{commit}"], shadow);
  if (history.head === undefined || head === undefined) return undefined;
  const committed = await gitLine(["rev-parse", `${head}^{tree}`], shadow);
  const uncommitted = committed !== state.tree && !(onlyNew && state.tree === record.tree);
  const host = gitOf(repository, signal);
  const ref = await branchRef(host, branch);
  const before = await tryGitLine(["rev-parse", "--quiet", "--verify", `${ref}^{commit}`], host);
  const known = await hostTips(host);
  if (onlyNew && (await gitLine(["rev-list", "--count", head, "--not", ...known], shadow)) === "0")
    return { branch, head, commits: 0, uncommitted, notes: state.notes };
  onStep("workspace:objects");
  await takeObjects({ shadow, host }, head, known);
  // Everything that the new tip leads to is there, or nothing points to it.
  await runGit(["rev-list", "--objects", "--quiet", head, "--not", ...known], {
    ...host,
    failure: brokenHistory,
  });
  if (before !== undefined && !options.force) await demandForward(host, { before, head, branch });
  const commits = Number(
    await gitLine(["rev-list", "--count", head, "--not", ...(before === undefined ? known : [before])], host),
  );
  if (before !== head) {
    await demandNotCheckedOut(host, ref, branch);
    onStep("workspace:branch");
    const message = "banger: pulled from a workspace";
    await runGit(["update-ref", "-m", message, ref, head, before ?? "0".repeat(head.length)], host);
  }
  return { branch, head, commits, uncommitted, notes: state.notes };
}

async function branchRef(host: GitOptions, branch: string): Promise<string> {
  const failure = (): BangerError => badBranch(branch);
  if ((await tryGitLine(["check-ref-format", "--branch", branch], { ...host, failure })) !== branch)
    throw badBranch(branch);
  return `refs/heads/${branch}`;
}

/** Commits that the host has for sure. */
async function hostTips(host: GitOptions): Promise<string[]> {
  const tips = new Set<string>();
  const format = "--format=%(objectname)%00%(objecttype)%00%(*objectname)%00%(*objecttype)%00";
  const fields: string[] = [];
  for await (const field of gitRecords(["for-each-ref", format], host)) {
    fields.push(field.toString("latin1").trim());
    if (fields.length < 4) continue;
    const [oid = "", type, peeled = "", peeledType] = fields.splice(0);
    if (type === "commit") tips.add(oid);
    else if (peeledType === "commit") tips.add(peeled);
  }
  const head = await tryGitLine(["rev-parse", "--quiet", "--verify", "HEAD^{commit}"], host);
  if (head !== undefined) tips.add(head);
  return [...tips];
}

/** A pack of what is new goes from one git into another, which checks every object (git-index-pack(1), --strict). */
async function takeObjects(
  { shadow, host }: { readonly shadow: GitOptions; readonly host: GitOptions },
  head: string,
  known: readonly string[],
): Promise<void> {
  const packing = openGit(
    ["pack-objects", "--quiet", "--revs", "--stdout", "--thin", "--delta-base-offset", "--threads=1"],
    shadow,
  );
  try {
    packing.stdin?.end(`${[head, ...known.map((oid) => `^${oid}`)].join("\n")}\n`);
    const output: AsyncIterable<Uint8Array> | undefined = packing.stdout;
    await runGit(["index-pack", "--stdin", "--fix-thin", "--strict"], {
      ...host,
      stdin: output ?? Buffer.alloc(0),
      failure: ({ stderrTail }) =>
        new BangerError(
          "guest_error",
          `the guest's commits are not taken: ${stderrTail.replaceAll(/^(fatal|error): /gm, "")}`,
          {
            cure: "take the work out as a patch: banger workspace export",
          },
        ),
    });
    await packing.done;
  } finally {
    await packing.stop();
  }
}

async function demandForward(
  host: GitOptions,
  { before, head, branch }: { readonly before: string; readonly head: string; readonly branch: string },
): Promise<void> {
  const failure = (): BangerError => lostCommits(branch);
  const base = await tryGitLine(["merge-base", "--is-ancestor", before, head], { ...host, failure });
  if (base === undefined) throw lostCommits(branch);
}

async function demandNotCheckedOut(host: GitOptions, ref: string, branch: string): Promise<void> {
  for await (const line of gitRecords(["worktree", "list", "--porcelain", "-z"], host)) {
    if (line.toString() !== `branch ${ref}`) continue;
    throw new BangerError(
      "failed_precondition",
      `the branch ${branch} is checked out, and a work tree is not touched`,
      {
        cure: "check another one out, or pull into another with --branch NAME",
        details: { branch },
      },
    );
  }
}

function nothingCommitted(path: string): BangerError {
  return new BangerError("failed_precondition", `nothing is committed in ${path}`, {
    cure: "commit in the guest, or take the work out as a patch: banger workspace export",
  });
}

function lostCommits(branch: string): BangerError {
  return new BangerError("conflict", `the branch ${branch} has commits that the guest does not have`, {
    cure: "pull into another branch with --branch NAME, or give them up with --force",
    details: { branch },
  });
}

function brokenHistory(): BangerError {
  return new BangerError("guest_error", "the guest's commits lead to objects that are nowhere", {
    cure: "see what is wrong in the guest with: git fsck; or take the work out as a patch: banger workspace export",
  });
}

function badBranch(branch: string): BangerError {
  return new BangerError("invalid_argument", `${quote(branch)} cannot be the name of a branch`, {
    details: { field: "branch" },
  });
}
