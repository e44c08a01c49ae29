/** Machines that were saved, as the rooms know them that deal with them: what a start may go on from. */
import type { BangerError } from "./errors.ts";

/** Files of a saved VM. They are their keeper's: never written, and there as long as whoever opened them uses them. */
export interface SavedMachine {
  readonly id: string;
  /** What `Driver.resume` takes; undefined when only the disk was saved. */
  readonly machineDir: string | undefined;
  readonly diskPath: string;
  /** The disk's size. */
  readonly diskMib: number;
  /** What the host keeps of the VM's workspace, for `WorkspaceCarrier.bring`; absent: it had none. */
  readonly workspaceFile?: string | undefined;
  /** Present while it is being made. Both reject when that fails. */
  readonly making?: SavedMachineInMaking | undefined;
}

export interface SavedMachineInMaking {
  /** Resolves when the disk is there, and of the machine what `Driver.resume` needs to begin. */
  readonly captured: Promise<void>;
  /** Resolves when all of it is there. */
  readonly whole: Promise<void>;
}

/** What the host keeps of workspaces, where their VMs are saved and multiplied. */
export interface WorkspaceCarrier {
  /** Nothing is sent to the VM's workspace, and nothing taken from it, while `work` runs. Taken before the lock of the VM. */
  hold<T>(vm: string, work: () => Promise<T>): Promise<T>;
  /** Writes it to `file`, which is not there; nothing when the VM has none. Errors: `resource_exhausted`. */
  save(vm: string, file: string): Promise<void>;
  /** Unpacks what was saved beside what the VM has. A file that is not there is that of a VM without. Errors: `failed_precondition` for what is damaged. */
  bring(vm: string, file: string): Promise<BroughtWorkspace>;
}

/** Disposing removes what was not taken. */
export interface BroughtWorkspace extends AsyncDisposable {
  /** The VM has this workspace from now on, or none, and no other. Quick and synchronous. */
  take(): void;
}

/** Everything that a machine which booted an image depends on, beside the size of its disk. */
export interface TemplateInputs {
  /** The image's digest. */
  readonly image: string;
  /** Content-addressed, as the next. */
  readonly kernelPath: string;
  readonly initramfsPath: string;
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly driver: string;
  /** `DriverReport.snapshotKey`. */
  readonly driverKey: string;
  /** `Capability.devices` of all capabilities, in their order. */
  readonly devices: readonly string[];
}

export interface TemplateWish {
  readonly inputs: TemplateInputs;
  /** The size of the disk that the VM is to have. */
  readonly diskMib: number;
  /** The name that the image had, for people. */
  readonly imageName: string;
}

/** Whether what booted from one is what would boot from the other. */
export function isSameMachine(one: TemplateInputs, other: TemplateInputs): boolean {
  const parts = (inputs: TemplateInputs): string => {
    const { image, kernelPath, initramfsPath, vcpus, memoryMib, driver, driverKey, devices } = inputs;
    return JSON.stringify([image, kernelPath, initramfsPath, vcpus, memoryMib, driver, driverKey, devices]);
  };
  return parts(one) === parts(other);
}

/** Saved machines that make first starts faster. None of these calls ever fails. */
export interface WarmStarts {
  /** A machine that booted from equal inputs, with a disk that is not larger; undefined when there is none to be trusted. */
  find(wish: TemplateWish): Promise<SavedMachine | undefined>;
  /** A clone of it did not come up: it is never used again. */
  distrust(saved: SavedMachine, why: BangerError): Promise<void>;
  /** A VM had to boot for want of one: one may be made now, while nobody waits. */
  missed(wish: TemplateWish): void;
}

/** What users saved. */
export interface SavedMachines {
  /** Opens a snapshot for a start; it stays whole until it is disposed. Errors: `failed_precondition` when it is gone or damaged. */
  open(id: string): Promise<SavedMachine & Disposable>;
  /** As `WorkspaceCarrier.bring`, of the workspace that the snapshot has. */
  bringWorkspace(id: string, vm: string): Promise<BroughtWorkspace>;
}
