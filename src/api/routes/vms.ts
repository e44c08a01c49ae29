/** What the operations on VMs take and give. */
import { z } from "zod";
import type { Contracts } from "../contract.ts";
import { ExecListSchema, ExecRequestSchema, StartedExecSchema } from "../schemas/exec.ts";
import { ForksSchema, ForkVmSchema, RestoreVmSchema } from "../schemas/snapshots.ts";
import { SshDoorSchema } from "../schemas/ssh.ts";
import { ListenerListSchema, StatsListSchema } from "../schemas/use.ts";
import {
  CreateVmSchema,
  KillVmSchema,
  SetVmSchema,
  StopVmSchema,
  VmListSchema,
  VmSchema,
} from "../schemas/vms.ts";

const Flag = z.enum(["true", "false"]).optional();

/** Query of `vm.create`. */
export const CreateQuerySchema: z.ZodType<{
  start?: "true" | "false" | undefined;
  cold?: "true" | "false" | undefined;
}> = z.strictObject({ start: Flag, cold: Flag });
/** Query of `vm.start`. */
export const StartQuerySchema: z.ZodType<{ cold?: "true" | "false" | undefined }> = z.strictObject({
  cold: Flag,
});
/** Query of `vm.remove`. */
export const RemoveQuerySchema: z.ZodType<{ force?: "true" | "false" | undefined }> = z.strictObject({
  force: Flag,
});

/** Query of `events`. */
export const EventsQuerySchema: z.ZodType<{ after?: string | undefined }> = z.strictObject({
  after: z
    .string()
    .regex(/^\d{1,15}$/)
    .optional(),
});

export const VM_ROUTES: Contracts<"vm" | "stats" | "events" | "run"> = {
  "vm.list": { summary: "All VMs, oldest first", answer: VmListSchema },
  "vm.create": {
    summary: "Makes a VM, and starts it unless start=false; cold=true boots it without a template",
    query: CreateQuerySchema,
    body: CreateVmSchema,
    answer: VmSchema,
  },
  "vm.show": { summary: "One VM, by name, id or unambiguous id prefix", answer: VmSchema },
  "vm.start": {
    summary: "Starts a stopped VM; does nothing for a running one; cold=true boots without a template",
    query: StartQuerySchema,
    answer: VmSchema,
  },
  "vm.stop": {
    summary: "Powers the guest off and waits; what it wrote is on disk",
    body: StopVmSchema,
    answer: VmSchema,
  },
  "vm.restart": {
    summary: "Stops a VM as vm.stop does, and boots it anew",
    body: StopVmSchema,
    answer: VmSchema,
  },
  "vm.kill": {
    summary: "Ends a VM's process at once; what was not synced is lost",
    body: KillVmSchema,
    answer: VmSchema,
  },
  "vm.pause": { summary: "Stops a VM's vCPUs", answer: VmSchema },
  "vm.resume": { summary: "Lets the vCPUs of a paused VM go on", answer: VmSchema },
  "vm.set": {
    summary:
      "Changes name, size, kernel, network or published ports; what a running VM cannot take waits for its next start",
    body: SetVmSchema,
    answer: VmSchema,
  },
  "vm.wait": { summary: "Answers when a VM is stopped, or in error", answer: VmSchema },
  "vm.ports": { summary: "The sockets that listen in a VM", answer: ListenerListSchema },
  "vm.execs": { summary: "A VM's detached commands", answer: ExecListSchema },
  "vm.execDetached": {
    summary: "Runs a command in a VM that belongs to no client; its last MiB of output is kept",
    body: ExecRequestSchema,
    answer: StartedExecSchema,
  },
  "vm.follow": {
    summary: "A VM's console output as it comes (WebSocket: binary messages)",
    answer: z.unknown(),
  },
  stats: { summary: "What the live VMs use now", answer: StatsListSchema },
  events: {
    summary: "What happens to VMs (WebSocket: one VmEvent a text message), after a cursor or from now on",
    query: EventsQuerySchema,
    answer: z.unknown(),
  },
  "vm.remove": {
    summary: "Deletes a VM and its disk; force=true also a running one",
    query: RemoveQuerySchema,
    answer: VmSchema,
  },
  "vm.logs": { summary: "The guest's console output, at most the last MiB", answer: z.string() },
  "vm.exec": { summary: "Runs a command in a VM (WebSocket: ExecClientMessage first)", answer: z.unknown() },
  "vm.stream": {
    summary: "Files and connections of a VM (WebSocket: GuestStreamClientMessage first)",
    answer: z.unknown(),
  },
  run: {
    summary: "Makes a VM, runs a command in it (WebSocket: ExecClientMessage first)",
    answer: z.unknown(),
  },
  "vm.sshDoor": {
    summary: "What an SSH server of a running VM is made with: its host key, and who may enter",
    answer: SshDoorSchema,
  },
  "vm.fork": {
    summary: "Makes VMs that go on from where a running one is",
    body: ForkVmSchema,
    answer: ForksSchema,
  },
  "vm.restore": {
    summary: "Takes a VM back to a snapshot of it",
    body: RestoreVmSchema,
    answer: VmSchema,
  },
};
