/** Workspaces among the operations at whose every step the daemon is killed. */
import { dirname, join } from "node:path";
import type { Client } from "../../src/sdk/client.ts";
import type { ImportWorkspace } from "../../src/sdk/index.ts";
import { createRepository, git, put } from "../support/repositories.ts";
import type { FaultOperation } from "./operation.ts";

/** `createAndStart` makes the VM `vm`. */
export function workspaceOperations(
  vm: string,
  createAndStart: (client: Client) => Promise<unknown>,
): readonly FaultOperation[] {
  // The guests of the fault tests have the host's files: repository and copy are in the home, beside everything of banger's.
  const wishFor = async (client: Client): Promise<ImportWorkspace> => {
    const home = dirname(dirname((await client.showVm(vm)).directory));
    return { path: join(home, "work/repo"), guestPath: join(home, "work/guest") };
  };
  return [
    {
      title: "workspace import",
      prepare: async (client) => {
        await createAndStart(client);
        createRepository((await wishFor(client)).path, { "a.txt": "one\n" });
      },
      act: async (client) => await client.importWorkspace(vm, await wishFor(client)),
      between: ["running"],
      after: "running",
      done: "failed_precondition",
    },
    {
      title: "workspace sync",
      prepare: async (client) => {
        await createAndStart(client);
        const wish = await wishFor(client);
        createRepository(wish.path, { "a.txt": "one\n", "b.txt": "b\n" });
        await client.importWorkspace(vm, wish);
        put(wish.path, { "a.txt": "two\n" });
        git(wish.path, "commit", "-q", "-a", "-m", "second");
      },
      act: (client) => client.syncWorkspace(vm),
      between: ["running"],
      after: "running",
    },
  ];
}
