/** A workspace: a copy of a git work tree inside a VM, what is asked of one, and what is remembered of it. */
import { BangerError } from "./errors.ts";
import { quote } from "./names.ts";

/** Where workspaces go unless somebody says otherwise. */
const GUEST_HOME = "/root";

/** What is asked of a workspace. */
export interface WorkspaceWish {
  /** Absolute path on the host, in the work tree of a repository. */
  readonly path: string;
  /** Absolute path in the guest; default: `/root/` and the name of the work tree. */
  readonly guestPath?: string | undefined;
  /** A branch that is made in the guest. */
  readonly branch?: string | undefined;
  /** What that branch starts at; then the work tree is that of the revision. Default: what is checked out. */
  readonly from?: string | undefined;
  /** So many commits of the present branch, and no other branches; default: everything. */
  readonly depth?: number | undefined;
  /** Files that git does not track, and does not ignore, come along. */
  readonly includeUntracked?: boolean | undefined;
  /** Nothing in the guest's copy is writable. */
  readonly readonly?: boolean | undefined;
}

/** Of one workspace, those inside each other included. */
export const MAX_SUBMODULES = 1024;

/** What is remembered of a submodule that travelled with a workspace; see `WorkspaceRecord` for the rest. */
export interface SubmoduleRecord {
  /** Of its work tree, below the top of the workspace. */
  readonly path: string;
  readonly head?: string | undefined;
  readonly tree: string;
  readonly branch?: string | undefined;
}

/** What is remembered of the workspace of a VM. */
export interface WorkspaceRecord {
  /** The id of the VM. */
  readonly vm: string;
  /** The top of the work tree on the host. */
  readonly hostPath: string;
  readonly guestPath: string;
  /** The commit that the guest's copy started from; absent: there was none yet. */
  readonly head?: string | undefined;
  /** The tree of everything that arrived, changes that were not committed included: what `export` compares with. */
  readonly tree: string;
  /** The branch that was checked out in the guest; absent: none (a detached HEAD). */
  readonly branch?: string | undefined;
  readonly readonly: boolean;
  readonly includeUntracked: boolean;
  readonly depth?: number | undefined;
  /** The branch was made in the guest (`--branch`), and the host has none of this name. */
  readonly ownBranch: boolean;
  /** The work tree was that of a revision (`--from`), not what was on disk. */
  readonly ofRevision: boolean;
  /** The guest's time when it had arrived, in nanoseconds since 1970, decimal. What changes later says so. */
  readonly arrivedAtNs: string;
  /** Host time, Unix milliseconds. */
  readonly sentAt: number;
  /** Those that travelled, the outer before the inner, with what is kept of each in the directory of its number. Absent: not known. */
  readonly submodules?: readonly SubmoduleRecord[] | undefined;
}

/** A workspace on its way: what a daemon that ends in the middle of it leaves in the guest. */
export interface WorkspaceArrival {
  /** The id of the VM. */
  readonly vm: string;
  readonly guestPath: string;
  /** The path until it is whole. */
  readonly aside: string;
}

/** The path in the guest for a work tree of this name. Errors: `invalid_argument` where no name can be made of it. */
export function guestPathFor(hostPath: string): string {
  const name = hostPath.slice(hostPath.lastIndexOf("/") + 1);
  return validateGuestPath(`${GUEST_HOME}/${name}`);
}

/** Checks a path of the guest: absolute, below the root, without empty, `.` and `..` parts. Errors: `invalid_argument`. */
export function validateGuestPath(path: string): string {
  const parts = path.split("/").slice(1);
  const isGood =
    path.startsWith("/") &&
    path.length <= 1024 &&
    !/[\0\ufffd]/u.test(path) &&
    parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (isGood) return path;
  throw new BangerError("invalid_argument", `${quote(path)} cannot be the path of a workspace in the guest`, {
    cure: "name one such as /root/app with --guest-path",
    details: { field: "guestPath" },
  });
}

/** What became of a pull in a submodule. */
export interface PulledSubmodule {
  /** Of its work tree, below the top of the workspace. */
  readonly path: string;
  /** Of the submodule's repository on the host; absent: the guest has no commits of its own. */
  readonly branch?: string | undefined;
  readonly head?: string | undefined;
  /** Commits that its repository did not have. */
  readonly commits: number;
  /** Something was changed in the guest and is not committed, and did not come. */
  readonly uncommitted: boolean;
}
