/** What an operation at whose every step the daemon is killed consists of, and the VM that such operations are about. */
import type { Client } from "../../src/sdk/client.ts";
import type { CreateVm, ErrorCode } from "../../src/sdk/index.ts";

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
  /** Steps to die at, when the others are those of other operations. Default: all. */
  readonly steps?: RegExp | undefined;
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

export const WISH: CreateVm = { name: VM, image: IMAGE, diskMib: 64 };

export const create = (client: Client): Promise<unknown> => client.createVm(WISH, { start: false });
export const createAndStart = (client: Client): Promise<unknown> => client.createVm(WISH);
export const createAndPause = async (client: Client): Promise<unknown> => {
  await createAndStart(client);
  return await client.pauseVm(VM);
};
