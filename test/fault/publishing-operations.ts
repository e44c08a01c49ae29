/** Published ports among the operations at whose every step the daemon is killed. */
import type { Client } from "../../src/sdk/client.ts";
import type { PublishedPort } from "../../src/sdk/index.ts";
import { type FaultOperation, VM, WISH } from "./operation.ts";

const PORT = { address: "127.0.0.1", hostPort: 0, guestPort: 80, protocol: "tcp" } as const;
/** Published once by whoever begins, and known from then on. */
const published = async (client: Client): Promise<PublishedPort[]> => [
  ...((await client.showVm(VM)).spec.ports ?? []),
];

/** What listened ended with the daemon; what the next one listens on is what the records say. */
export const PUBLISHING_OPERATIONS: readonly FaultOperation[] = [
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
