/** The bodies of the API as types, here those about VMs. The schemas of the same names check them; a unit stands in the field's name. */
import type { Setup } from "../../model/bootstrap.ts";
import type { ErrorBody } from "../../model/errors.ts";
import type { EventKind } from "../../model/event.ts";
import type { VmSpec } from "../../model/spec.ts";
import type { StepTiming, VmState } from "../../model/vm.ts";
import type { CreateVm, SetVm } from "../../model/vm-wish.ts";
import type { ExecRequest } from "./exec.ts";
import type { ImportWorkspace } from "./workspaces.ts";

export type { CreateVm, SetVm };

export interface Vm {
  readonly id: string;
  readonly name: string;
  readonly state: VmState;
  readonly spec: VmSpec;
  /** sha256 of the image's root file system. */
  readonly imageDigest: string;
  /** The guest's address in the plan. */
  readonly address: string;
  /** Its IPv6 address, where one VM is shown that is up and has one. */
  readonly address6?: string | undefined;
  /** True: deleted with the run that made it. */
  readonly ephemeral: boolean;
  /** The VM's directory on the host. */
  readonly directory: string;
  /** The id of the snapshot that it was made from. */
  readonly parent?: string | undefined;
  readonly driver?: string | undefined;
  /** The guest kernel's boot id. */
  readonly bootId?: string | undefined;
  /** The hypervisor's process, while it runs. */
  readonly pid?: number | undefined;
  /** False: the running guest has been silent for 20 s. */
  readonly responsive?: boolean | undefined;
  /** Unix milliseconds, as the two below. */
  readonly createdAt: number;
  readonly startedAt?: number | undefined;
  readonly stoppedAt?: number | undefined;
  readonly lastError?: ErrorBody | undefined;
  /** How it reaches others, where one VM is shown: a card, or the agent's channel. Absent: it is not up, or cannot. */
  readonly networkWay?: "card" | "channel" | undefined;
  /** Why ports that should be published are not, where one VM is shown. */
  readonly portProblems?: readonly string[] | undefined;
  /** The fields of `spec` that wait for the next start. */
  readonly pending: readonly string[];
  /** The steps of the last start. */
  readonly startSteps: readonly StepTiming[];
  /** What the image says of itself, where one VM is shown: the ports that it serves, as `80/tcp`. */
  readonly exposedPorts?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface RunRequest {
  readonly vm: CreateVm;
  /** Absent: start only, and leave it running. */
  readonly exec?: ExecRequest | undefined;
  /** Delete the VM when the command has ended or the client goes away. */
  readonly remove?: boolean | undefined;
  /** Boot, even where a template would be faster. */
  readonly cold?: boolean | undefined;
  /** A git work tree that comes along; the command starts in it. */
  readonly workspace?: ImportWorkspace | undefined;
  /** What is run before the command, once everything has arrived; the first that fails ends the run. */
  readonly setup?: Setup | undefined;
}

export interface KillVm {
  /** `KILL` (the default) ends the process as it stands; `TERM` lets the hypervisor write out its buffers first. */
  readonly signal?: "KILL" | "TERM" | undefined;
}

/** Something that happened to a VM. */
export interface VmEvent {
  /** Ascending; where a reader goes on. */
  readonly cursor: number;
  /** Unix milliseconds. */
  readonly at: number;
  readonly kind: EventKind;
  readonly vm: string;
  readonly name: string;
  readonly message?: string | undefined;
}

export interface StopVm {
  /** How long the guest may take before its process is ended. Default: the configured `stop_timeout`. */
  readonly timeoutMs?: number | undefined;
}
