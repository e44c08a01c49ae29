/** Workspaces among the operations at whose every step the daemon is killed. */
import { existsSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Client } from "../../src/sdk/client.ts";
import { BangerError, type ImportWorkspace } from "../../src/sdk/index.ts";
import { createRepository, git, put } from "../support/repositories.ts";
import { type FaultOperation, IMAGE } from "./operation.ts";
import { templateMade } from "./saving-operations.ts";

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
  const runWithSetup = async (client: Client): Promise<void> => {
    const [other] = await client.listVms();
    const work = join(dirname(dirname(other?.directory ?? "")), "work");
    const [path, guestPath] = [join(work, "repo"), join(work, "guest")];
    if (!existsSync(path)) createRepository(path, { "a.txt": "one\n" });
    const steps = [{ source: "setup", command: "true" } as const];
    const run = async (): Promise<unknown> =>
      await client.run({
        vm: { name: vm, image: IMAGE, env: { BANGER_SETUP_LOG: join(work, "log") } },
        workspace: { path, guestPath },
        setup: { steps, inputs: [] },
        exec: { argv: ["true"] },
        remove: true,
      }).exit;
    try {
      await run();
    } catch (error) {
      // All guests have the host's files, and so those of the attempt before.
      if (BangerError.from(error).code !== "failed_precondition") throw error;
      rmSync(guestPath, { recursive: true });
      await run();
    }
  };
  return [
    {
      title: "run --rm with a setup, whose result is kept",
      templates: true,
      steps: /^(?:bootstrap|workspace):/,
      prepare: anyTemplateMade,
      act: runWithSetup,
      between: ["absent"],
      after: "absent",
    },
    {
      title: "run --rm that starts where its setup ended",
      templates: true,
      steps: /^workspace:|^start:(?:handles|resume|identify|record)$/,
      prepare: async (client) => {
        await anyTemplateMade(client);
        await runWithSetup(client);
      },
      act: runWithSetup,
      between: ["absent"],
      after: "absent",
    },
    {
      title: "fork of a VM with a workspace",
      prepare: async (client) => {
        await createAndStart(client);
        createRepository((await wishFor(client)).path, { "a.txt": "one\n" });
        await client.importWorkspace(vm, await wishFor(client));
      },
      act: (client) => client.forkVm(vm, { count: 1 }),
      between: ["running"],
      after: "running",
    },
    {
      title: "create of a VM from a snapshot with a workspace",
      prepare: async (client) => {
        await createAndStart(client);
        createRepository((await wishFor(client)).path, { "a.txt": "one\n" });
        await client.importWorkspace(vm, await wishFor(client));
        await client.createSnapshot(vm, { name: "ready" });
        await client.removeVm(vm, { force: true });
      },
      act: (client) => client.createVm({ name: vm, snapshot: "ready" }, { start: false }),
      between: ["absent", "stopped"],
      after: "stopped",
      done: "already_exists",
    },
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
        createRepository(join(dirname(wish.path), "lib"), { "lib.c": "one\n" });
        git(wish.path, "submodule", "--quiet", "add", join(dirname(wish.path), "lib"), "lib");
        git(wish.path, "commit", "-q", "-m", "with a submodule");
        await client.importWorkspace(vm, wish);
        put(wish.path, { "a.txt": "two\n", "lib/lib.c": "two\n" });
        git(join(wish.path, "lib"), "commit", "-q", "-a", "-m", "second");
        git(wish.path, "commit", "-q", "-a", "-m", "second");
      },
      act: (client) => client.syncWorkspace(vm),
      between: ["running"],
      after: "running",
    },
    {
      title: "workspace pull",
      prepare: async (client) => {
        await createAndStart(client);
        const wish = await wishFor(client);
        const lib = join(dirname(wish.path), "lib");
        createRepository(lib, { "lib.c": "one\n" });
        createRepository(wish.path, { "a.txt": "one\n" });
        git(wish.path, "submodule", "--quiet", "add", lib, "lib");
        git(wish.path, "commit", "-q", "-m", "with a submodule");
        const { guestPath } = await client.importWorkspace(vm, wish);
        for (const path of [join(guestPath, "lib"), guestPath])
          git(path, "commit", "-q", "--allow-empty", "-m", "in the guest");
      },
      act: (client) => client.pullWorkspace(vm),
      between: ["running"],
      after: "running",
    },
  ];
}

/** The bystander has booted, too. */
async function anyTemplateMade(client: Client): Promise<void> {
  await templateMade(client, () => true);
}
