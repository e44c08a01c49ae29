/** The work tree of a run, whose setup may have been done before: then what was kept is taken up, and only what is new is sent. */
import { removeTree } from "../lib/remove-tree.ts";
import type { LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import type { ArrivingTree } from "../model/kept.ts";
import type { Store } from "../store/store.ts";
import { unpackBundle } from "./bundle.ts";
import { tryGitLine } from "./git.ts";
import type { WorkspacePlaces } from "./places.ts";
import { treeKey } from "./tree-key.ts";
import type { PreparedWorkspace, Workspaces } from "./workspaces.ts";

export interface TreeKeeper {
  readonly workspaces: Pick<Workspaces, "arrive" | "sync">;
  readonly places: (vm: string) => WorkspacePlaces;
  readonly store: Store;
  readonly onStep: (step: string) => void;
}

/** `inputs`: files of the tree that decide what its setup makes. */
export async function arrivingTree(
  keeper: TreeKeeper,
  prepared: PreparedWorkspace,
  options: LongOptions & { readonly inputs: readonly string[] },
): Promise<ArrivingTree> {
  const { survey } = prepared;
  const [first] = survey.parts;
  const hostPath = first?.repository.top ?? "";
  const records = keeper.store.workspaces;
  const forget = async (vm: string): Promise<void> => {
    records.remove(vm);
    await removeTree(keeper.places(vm).directory);
  };
  return {
    key: await treeKey(survey, options.inputs),
    hostPath,
    arrive: async (vm) => await keeper.workspaces.arrive(vm, prepared, options),
    forget,
    adopt: async (vm, file) => {
      const { guestPath } = survey;
      try {
        const record = await unpackBundle(file, keeper.places(vm).directory);
        if (record.hostPath !== hostPath || record.guestPath !== guestPath || !(await hasCommit(record.head)))
          throw foreign(hostPath);
        keeper.onStep("workspace:adopt");
        // Until the VM runs, nothing of it is there: who comes after a crash takes it for one on its way.
        records.begin({ vm, guestPath, aside: guestPath });
        return {
          catchUp: async (running) => {
            keeper.onStep("workspace:adopted");
            records.put({ ...record, vm });
            await keeper.workspaces.sync(running, { force: true }, options);
          },
        };
      } catch (error) {
        await forget(vm);
        throw error;
      }
    },
  };

  async function hasCommit(head: string | undefined): Promise<boolean> {
    if (head === undefined) return true;
    const args = ["rev-parse", "--quiet", "--verify", `${head}^{commit}`];
    const git = { signal: options.signal, cwd: hostPath, userConfig: true };
    return (await tryGitLine(args, git)) === head;
  }
}

function foreign(hostPath: string): BangerError {
  return new BangerError("failed_precondition", `what was kept is not of the repository in ${hostPath}`);
}
