/** Where the guest agent's binary is: built in the checkout, or inside the compiled binary. */
import { BangerError } from "./model/errors.ts";

/** Errors: `unavailable` when it was not built. */
export async function agentPath(): Promise<string> {
  try {
    const { default: path } = await import("../agent/target/x86_64-unknown-linux-gnu/release/banger-agent", {
      with: { type: "file" },
    });
    return path;
  } catch (error) {
    throw new BangerError("unavailable", "the guest agent has not been built", {
      cure: "build it with: npm run build:agent",
      cause: error,
    });
  }
}
