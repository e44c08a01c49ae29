/** The operations at whose every step the daemon is killed. A new one is one entry; its steps are found by a clean run. */
import { refusal } from "../support/refusal.ts";
import { create, createAndPause, createAndStart, type FaultOperation, IMAGE, VM, WISH } from "./operation.ts";
import { PUBLISHING_OPERATIONS } from "./publishing-operations.ts";
import { SAVING_OPERATIONS } from "./saving-operations.ts";
import { VOLUME_OPERATIONS } from "./volume-operations.ts";
import { workspaceOperations } from "./workspace-operations.ts";

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
    title: "start of a VM with a copy of a directory",
    prepare: (client) =>
      client.createVm(
        { ...WISH, volumes: [{ volume: import.meta.dir, target: "/srv/in", readOnly: true }] },
        { start: false },
      ),
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
  ...SAVING_OPERATIONS,
  ...workspaceOperations(VM, createAndStart),
  ...PUBLISHING_OPERATIONS,
  ...VOLUME_OPERATIONS,
];
