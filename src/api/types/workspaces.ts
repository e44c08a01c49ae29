/** Bodies about workspaces: what is to be copied into a VM, what would be, and what became of it. */
import type { Bootstrap } from "../../model/bootstrap.ts";
import type { PulledSubmodule, WorkspaceWish } from "../../model/workspace.ts";

/** What is to be copied into a VM; see `WorkspaceWish` of the model. */
export type ImportWorkspace = WorkspaceWish;

/** What a work tree says of its VM; see `Bootstrap` of the model. */
export type WorkspaceBootstrap = Bootstrap;

/** A git work tree that was copied into a VM. */
export interface Workspace {
  /** The VM's id. */
  readonly vm: string;
  readonly hostPath: string;
  readonly guestPath: string;
  /** The commit that was checked out when it was sent. */
  readonly head?: string | undefined;
  readonly branch?: string | undefined;
  readonly readonly: boolean;
  /** Unix milliseconds. */
  readonly sentAt: number;
  /** Those that travelled. */
  readonly submodules: readonly WorkspaceSubmodule[];
}

/** A submodule that travelled with a workspace, as a repository of its own. */
export interface WorkspaceSubmodule {
  /** Of its work tree, below the top of the workspace. */
  readonly path: string;
  /** The commit that was checked out when it was sent. */
  readonly head?: string | undefined;
  readonly branch?: string | undefined;
}

/** What a copy would bring. */
export interface WorkspacePreview {
  readonly hostPath: string;
  readonly guestPath: string;
  readonly head?: string | undefined;
  readonly branch?: string | undefined;
  /** Below the top; names with odd bytes quoted as git does it. */
  readonly files: readonly string[];
  /** Of the files, without the history. */
  readonly bytes: number;
  /** Branches and tags. */
  readonly refs: number;
  readonly notes: readonly string[];
}

export interface PullWorkspace {
  /** The branch on the host; default: `banger/` and the VM's name. */
  readonly branch?: string | undefined;
  /** Also when the branch would lose commits. */
  readonly force?: boolean | undefined;
}

/** What became of a pull. */
export interface PulledWorkspace {
  readonly branch: string;
  readonly head: string;
  /** Commits that the branch did not have. */
  readonly commits: number;
  /** Something in the guest is not committed, and did not come. */
  readonly uncommitted: boolean;
  /** Those in which something was done. */
  readonly submodules: readonly PulledSubmodule[];
  readonly notes: readonly string[];
}

export interface SyncWorkspace {
  /** Also over what was changed in the guest. */
  readonly force?: boolean | undefined;
}

/** What a sync did. */
export interface SyncedWorkspace {
  readonly workspace: Workspace;
  /** Files that were sent. */
  readonly files: number;
  readonly removed: number;
  /** Everything that went to the guest. */
  readonly bytes: number;
  readonly notes: readonly string[];
}
