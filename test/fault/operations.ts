/** The operations at whose every step the daemon is killed. A new one is one entry; its steps are found by a clean run. */
import type { Client } from "../../src/sdk/client.ts";
import {
  BangerError,
  type CreateVm,
  type ErrorCode,
  type ProgressLine,
  type PublishedPort,
} from "../../src/sdk/index.ts";
import { refusal } from "../support/refusal.ts";
import { workspaceOperations } from "./workspace-operations.ts";

/** The one image of every home. */
export const IMAGE = "img";
/** The VM that the operation is about. */
export const VM = "web";

/** What a client finds of a VM. */
export type Found = "absent" | "stopped" | "running" | "paused";

export interface FaultOperation {
  readonly title: string;
  /** Brings the home to where the operation begins. */
  prepare(client: Client): Promise<unknown>;
  act(client: Client): Promise<unknown>;
  /** The VMs are on the network. */
  readonly nics?: boolean | undefined;
  /** So many clean-ups of the first daemon fail. */
  readonly failCleanups?: number | undefined;
  /** Templates are made and used. */
  readonly templates?: boolean | undefined;
  /** Beside it, a machine of the default size is kept ready. */
  readonly pool?: boolean | undefined;
  /** What the VM may be after a crash in the middle of it. */
  readonly between: readonly Found[];
  /** What it is once the operation has been repeated. */
  readonly after: Found;
  /** How the repetition may say that the first attempt had got through. */
  readonly done?: ErrorCode;
}

const WISH: CreateVm = { name: VM, image: IMAGE, diskMib: 64 };

const create = (client: Client): Promise<unknown> => client.createVm(WISH, { start: false });
const createAndStart = (client: Client): Promise<unknown> => client.createVm(WISH);
const createAndPause = async (client: Client): Promise<unknown> => {
  await createAndStart(client);
  return await client.pauseVm(VM);
};

const SNAPSHOT = "ready";

const createAndSave = async (client: Client): Promise<unknown> => {
  await createAndStart(client);
  return await client.createSnapshot(VM, { name: SNAPSHOT });
};

/** Asks until there is a template that fits: whoever asks a daemon that dies hears of it. */
async function templateMade(client: Client, fits: (diskMib: number) => boolean): Promise<void> {
  while (!(await client.listTemplates()).some(({ diskMib }) => fits(diskMib)));
}

const runAndMakeTemplate = async (client: Client): Promise<unknown> => {
  await client.run({ vm: WISH, exec: { argv: ["true"] }, remove: true }).exit;
  return await templateMade(client, (diskMib) => diskMib === WISH.diskMib);
};

/** Asks until a clone waits in the warm pool: whoever asks a daemon that dies hears of it. */
async function poolFull(client: Client): Promise<void> {
  while (!(await client.listTemplates()).some(({ pooled }) => pooled > 0));
}

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

/** Snapshots, forks and templates. */
const SAVING: readonly FaultOperation[] = [
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

const PORT = { address: "127.0.0.1", hostPort: 0, guestPort: 80, protocol: "tcp" } as const;
/** Published once by whoever begins, and known from then on. */
const published = async (client: Client): Promise<PublishedPort[]> => [
  ...((await client.showVm(VM)).spec.ports ?? []),
];

/** Published ports. What listened ended with the daemon; what the next one listens on is what the records say. */
const PUBLISHING: readonly FaultOperation[] = [
  {
    title: "start of a VM with published ports",
    prepare: (client) => client.createVm({ ...WISH, ports: [PORT, PORT] }, { start: false }),
    act: (client) => client.startVm(VM),
    between: ["stopped", "running"],
    after: "running",
  },
  {
    title: "set --publish and --unpublish of a running VM",
    prepare: (client) => client.createVm({ ...WISH, ports: [PORT] }),
    act: async (client) => {
      const [first, ...more] = await published(client);
      // A repetition finds both done, or none.
      if (first === undefined || more.length > 0) return undefined;
      await client.setVm(VM, { publish: [PORT] });
      const { hostPort, protocol } = first;
      return await client.setVm(VM, { unpublish: [{ hostPort, protocol }] });
    },
    between: ["running"],
    after: "running",
  },
  {
    title: "rm -f of a running VM with published ports",
    prepare: (client) => client.createVm({ ...WISH, ports: [PORT] }),
    act: (client) => client.removeVm(VM, { force: true }),
    between: ["running", "stopped", "absent"],
    after: "absent",
    done: "not_found",
  },
];

export const FAULT_OPERATIONS: readonly FaultOperation[] = [
  {
    title: "create --no-start",
    prepare: async () => undefined,
    act: create,
    between: ["absent", "stopped"],
    after: "stopped",
    done: "already_exists",
  },
  {
    title: "start of a new VM",
    prepare: create,
    act: (client) => client.startVm(VM),
    between: ["stopped", "running"],
    after: "running",
  },
  {
    title: "start of a VM that ran before",
    prepare: async (client) => {
      await createAndStart(client);
      await client.stopVm(VM);
    },
    act: (client) => client.startVm(VM),
    between: ["stopped", "running"],
    after: "running",
  },
  {
    title: "start of a VM whose clean-up failed",
    failCleanups: 1,
    prepare: async (client) => {
      await createAndStart(client);
      await refusal(client.stopVm(VM), "internal");
    },
    act: (client) => client.startVm(VM),
    between: ["stopped", "running"],
    after: "running",
  },
  {
    title: "stop",
    prepare: createAndStart,
    act: (client) => client.stopVm(VM),
    between: ["running", "stopped"],
    after: "stopped",
  },
  {
    title: "restart",
    prepare: createAndStart,
    act: (client) => client.restartVm(VM),
    between: ["running", "stopped"],
    after: "running",
  },
  {
    title: "kill",
    prepare: createAndStart,
    act: (client) => client.killVm(VM),
    between: ["running", "stopped"],
    after: "stopped",
  },
  {
    title: "pause",
    prepare: createAndStart,
    act: (client) => client.pauseVm(VM),
    between: ["running", "paused"],
    after: "paused",
  },
  {
    title: "resume",
    prepare: createAndPause,
    act: (client) => client.resumeVm(VM),
    between: ["running", "paused"],
    after: "running",
  },
  {
    title: "stop of a paused VM",
    prepare: createAndPause,
    act: (client) => client.stopVm(VM),
    between: ["running", "paused", "stopped"],
    after: "stopped",
  },
  {
    title: "set of a running VM",
    prepare: createAndStart,
    act: (client) => client.setVm(VM, { diskMib: 96, vcpus: 3, memoryMib: 300 }),
    between: ["running"],
    after: "running",
  },
  {
    title: "rm",
    prepare: create,
    act: (client) => client.removeVm(VM),
    between: ["stopped", "absent"],
    after: "absent",
    done: "not_found",
  },
  {
    title: "rm -f of a running VM",
    prepare: createAndStart,
    act: (client) => client.removeVm(VM, { force: true }),
    between: ["running", "stopped", "absent"],
    after: "absent",
    done: "not_found",
  },
  {
    title: "run --rm",
    prepare: async () => undefined,
    act: (client) =>
      client.run({ vm: { name: VM, image: IMAGE }, exec: { argv: ["true"] }, remove: true }).exit,
    between: ["absent"],
    after: "absent",
  },
  ...SAVING,
  ...workspaceOperations(VM, createAndStart),
  ...PUBLISHING,
];
