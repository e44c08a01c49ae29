/** The guest agent's binary, which `npm test` has built. */
import { existsSync } from "node:fs";
import { join } from "node:path";

export const AGENT: string = join(
  import.meta.dir,
  "../../agent/target/x86_64-unknown-linux-gnu/release/banger-agent",
);

if (!existsSync(AGENT)) throw new Error("the guest agent has not been built; run: npm run build:agent");
