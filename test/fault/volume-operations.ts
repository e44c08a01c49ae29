/** Volumes among the operations at whose every step the daemon is killed. */
import type { Client } from "../../src/sdk/client.ts";
import { create, type FaultOperation } from "./operation.ts";

const VOLUME = { name: "data", sizeBytes: 64 * 1024 * 1024 };

const createVolume = (client: Client): Promise<unknown> => client.createVolume(VOLUME);

export const VOLUME_OPERATIONS: readonly FaultOperation[] = [
  {
    title: "volume create",
    prepare: create,
    act: createVolume,
    between: ["stopped"],
    after: "stopped",
    done: "already_exists",
  },
  {
    title: "volume rm",
    prepare: async (client) => {
      await create(client);
      await createVolume(client);
    },
    act: (client) => client.removeVolume(VOLUME.name),
    between: ["stopped"],
    after: "stopped",
    done: "not_found",
  },
];
