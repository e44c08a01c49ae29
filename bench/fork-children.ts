/**
 * A process of its own that forks a running VM by the SDK and has each child run `true`: `fork-children SOCKET VM NAME...`; the names
 * are `PREFIX-1` and so on. The counterpart of `bare-restore`.
 */
import { BangerError, Client } from "../src/sdk/index.ts";

const [socket = "", parent = "", ...names] = process.argv.slice(2);
const client = await Client.create(socket);
const prefix = (names[0] ?? "").replace(/-1$/, "");
const { vms } = await client.forkVm(parent, { count: names.length, prefix });
await Promise.all(vms.map(async ({ name }) => await runIn(name)));

async function runIn(name: string): Promise<void> {
  const command = client.exec(name, { argv: ["true"] });
  const [exit] = await Promise.all([command.exit, command.end()]);
  if (exit?.exitCode !== 0) throw new BangerError("internal", `true failed in ${name}`);
}
