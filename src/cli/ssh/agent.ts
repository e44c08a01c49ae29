/** The user's ssh-agent inside a guest: a socket there whose connections end at the agent's socket here. Only ever when asked. */
import { randomBytes } from "node:crypto";
import type { GuestFiles } from "../../sdk/files/guest-files.ts";
import { forwardFromGuest } from "../../sdk/forward.ts";

export interface AgentForward extends AsyncDisposable {
  /** The value of SSH_AUTH_SOCK in the guest. */
  readonly path: string;
}

/** `socket`: the agent's, here. `user`: who may connect in the guest; root may anyhow. Disposing removes the guest's socket. */
export async function forwardAgent(
  guest: GuestFiles,
  { socket, user }: { readonly socket: string; readonly user: string | undefined },
): Promise<AgentForward> {
  const path = `/run/banger-agent-${randomBytes(8).toString("hex")}.sock`;
  const owner = user === undefined || user === "root" ? {} : { owner: user };
  const forward = await forwardFromGuest(guest, { unix: path, ...owner }, { target: { path: socket } });
  return {
    path,
    [Symbol.asyncDispose]: async () => await forward[Symbol.asyncDispose](),
  };
}
