/** What a copy would bring, for people and programs to look at: `--dry-run`. */
import { shown } from "./names.ts";
import type { Survey } from "./survey.ts";

export interface Preview {
  readonly guestPath: string;
  readonly hostPath: string;
  /** The commit, and the branch without `refs/heads/`, as the guest will have them checked out. */
  readonly head: string | undefined;
  readonly branch: string | undefined;
  /** Names below the top; those with odd bytes quoted as git does it. */
  readonly files: readonly string[];
  /** Of the files, without the history. */
  readonly bytes: number;
  /** Branches and tags. */
  readonly refs: number;
  readonly notes: readonly string[];
}

export function previewOf({ parts, guestPath, notes }: Survey): Preview {
  const [first] = parts;
  return {
    guestPath,
    hostPath: first?.repository.top ?? "",
    head: first?.refs.head,
    branch: first?.refs.branch?.replace("refs/heads/", ""),
    files: parts.flatMap(({ prefix, plan }) =>
      plan.files.map(({ name }) => shown(Buffer.concat([prefix, name]))),
    ),
    bytes: parts.reduce((sum, { plan }) => sum + plan.bytes, 0),
    refs: parts.reduce((sum, { refs }) => sum + refs.all.length, 0),
    notes,
  };
}
