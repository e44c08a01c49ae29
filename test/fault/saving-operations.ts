/** Snapshots, forks and templates among the operations at whose every step the daemon is killed. */
import type { Template } from "../../src/api/types/templates.ts";
import type { Client } from "../../src/sdk/client.ts";
import { BangerError, type ProgressLine } from "../../src/sdk/index.ts";
import { createAndPause, createAndStart, type FaultOperation, VM, WISH } from "./operation.ts";

const SNAPSHOT = "ready";

const createAndSave = async (client: Client): Promise<unknown> => {
  await createAndStart(client);
  return await client.createSnapshot(VM, { name: SNAPSHOT });
};

const runAndMakeTemplate = async (client: Client): Promise<unknown> => {
  await client.run({ vm: WISH, exec: { argv: ["true"] }, remove: true }).exit;
  return await templateMade(client, ({ diskMib }) => diskMib === WISH.diskMib);
};

/** Asks until there is such a template: whoever asks a daemon that dies hears of it. */
export async function templateMade(client: Client, fits: (template: Template) => boolean): Promise<void> {
  while (!(await client.listTemplates()).some(fits));
}

/** A clone waits in the warm pool. */
const poolFull = async (client: Client): Promise<void> =>
  await templateMade(client, ({ pooled }) => pooled > 0);

const runOnClone = async (client: Client): Promise<unknown> => {
  let took = false;
  const onProgress = (line: ProgressLine): void => {
    took ||= line.event === "begin" && line.stage === "take";
  };
  const exit = await client.run({ vm: WISH, exec: { argv: ["true"] }, remove: true }, { onProgress }).exit;
  // The daemon that repeats it has no pool.
  if (took) await poolFull(client);
  return exit;
};

const createOnClone = async (client: Client): Promise<void> => {
  try {
    const { startSteps } = await client.createVm(WISH);
    if (startSteps.some(({ name }) => name === "take")) await poolFull(client);
  } catch (error) {
    if (BangerError.from(error).code !== "already_exists") throw error;
    await client.startVm(VM);
  }
};

export const SAVING_OPERATIONS: readonly FaultOperation[] = [
  {
    title: "snapshot of a running VM",
    prepare: createAndStart,
    act: (client) => client.createSnapshot(VM, { name: SNAPSHOT }),
    between: ["running"],
    after: "running",
    done: "already_exists",
  },
  {
    title: "snapshot of the disk of a running VM",
    prepare: createAndStart,
    act: (client) => client.createSnapshot(VM, { name: SNAPSHOT, diskOnly: true }),
    between: ["running"],
    after: "running",
    done: "already_exists",
  },
  {
    title: "snapshot of a paused VM",
    prepare: createAndPause,
    act: (client) => client.createSnapshot(VM, { name: SNAPSHOT }),
    between: ["paused"],
    after: "paused",
    done: "already_exists",
  },
  {
    title: "snapshot rm",
    prepare: createAndSave,
    act: (client) => client.removeSnapshot(SNAPSHOT),
    between: ["running"],
    after: "running",
    done: "not_found",
  },
  {
    title: "snapshot restore",
    prepare: createAndSave,
    act: (client) => client.restoreVm(VM, SNAPSHOT),
    between: ["running", "stopped"],
    after: "running",
  },
  {
    title: "fork",
    prepare: createAndStart,
    act: (client) => client.forkVm(VM, { count: 2 }),
    between: ["running"],
    after: "running",
  },
  {
    title: "start of a VM made from a snapshot",
    prepare: async (client) => {
      await createAndSave(client);
      await client.removeVm(VM, { force: true });
      await client.createVm({ name: VM, snapshot: SNAPSHOT }, { start: false });
    },
    act: (client) => client.startVm(VM),
    between: ["stopped", "running"],
    after: "running",
  },
  {
    title: "run --rm of which a template is made",
    templates: true,
    // The bystander has booted, too.
    prepare: async (client) => await templateMade(client, () => true),
    act: runAndMakeTemplate,
    between: ["absent"],
    after: "absent",
  },
  {
    title: "run --rm that takes a clone of the warm pool",
    templates: true,
    pool: true,
    prepare: poolFull,
    act: runOnClone,
    between: ["absent"],
    after: "absent",
  },
  {
    title: "create that takes a clone of the warm pool",
    templates: true,
    pool: true,
    prepare: poolFull,
    act: createOnClone,
    between: ["absent", "stopped", "running"],
    after: "running",
  },
];
