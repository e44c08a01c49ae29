/** Answers about the SSH door of VMs. */
import { z } from "zod";
import type { SshDoor, SshKeys } from "../../model/ssh.ts";

const keys = {
  identityFile: z.string().describe("The user's private key, a path of the host"),
  publicKey: z.string().describe("The same key's public line"),
  knownHostsFile: z.string().describe("Host keys of all VMs that have one, a path of the host"),
};

export const SshKeysSchema: z.ZodType<SshKeys> = z.strictObject(keys).meta({ id: "SshKeys" });

export const SshDoorSchema: z.ZodType<SshDoor> = z
  .strictObject({
    ...keys,
    id: z.string(),
    name: z.string(),
    hostKey: z.string().describe("The VM's own private key, in OpenSSH's format"),
  })
  .meta({ id: "SshDoor" });
