/** What saving VMs asks of their life. */
import type { Agent } from "../guest/agent.ts";
import type { LongOptions } from "../model/boot.ts";
import type { SavedMachine } from "../model/saved.ts";
import type { SnapshotRecord } from "../model/snapshot.ts";
import type { VmRecord } from "../model/vm.ts";
import type { Running } from "../vmm/port.ts";

/** A VM that nobody else changes meanwhile; a part that is undefined is not there. */
export interface HeldGuest {
  readonly vm: VmRecord;
  readonly diskPath: string;
  readonly running: Running | undefined;
  readonly agent: Agent | undefined;
}

/** What snapshots ask of the life of VMs. */
export interface SnapshotVms {
  find(ref: string): VmRecord;
  hold<T>(ref: string, work: (held: HeldGuest) => Promise<T>): Promise<T>;
  rewind(
    id: string,
    options: LongOptions & {
      readonly saved: SavedMachine;
      readonly snapshot: SnapshotRecord;
      readonly replaced: () => void;
    },
  ): Promise<VmRecord>;
  fork(
    ref: string,
    wish: LongOptions & {
      readonly count: number;
      readonly prefix: string;
      readonly reserved: (child: VmRecord) => Promise<void>;
      readonly saved: SavedMachine;
      readonly save: (held: HeldGuest, captured: () => void) => Promise<void>;
    },
  ): Promise<readonly VmRecord[]>;
}
