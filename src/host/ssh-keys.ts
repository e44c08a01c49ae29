/** Keys of the SSH door: one that is the user's, one for each VM, and the file by which a client knows the VMs. */

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import type { utils as ssh2Utils } from "ssh2";
import { replaceFileDurably } from "../lib/durable-file.ts";
import { BangerError } from "../model/errors.ts";
import { SSH_SUFFIX, type SshDoor, type SshKeys } from "../model/ssh.ts";

export interface SshKeysOptions {
  readonly layout: {
    readonly sshDir: string;
    readonly sshIdentity: string;
    readonly sshKnownHosts: string;
    sshHostKey(id: string): string;
  };
  /** All VMs there are. */
  readonly vms: () => readonly KnownVm[];
}

interface KnownVm {
  readonly id: string;
  readonly name: string;
}

interface KeyPair {
  readonly private: string;
  /** `TYPE BASE64`, without a comment. */
  readonly public: string;
}

export class SshKeyring {
  readonly #options: SshKeysOptions;

  constructor(options: SshKeysOptions) {
    this.#options = options;
  }

  /** The user's key, made when it is missing. Errors: `failed_precondition` for a file that is no key. */
  async ensure(): Promise<SshKeys> {
    const { layout } = this.#options;
    mkdirSync(layout.sshDir, { recursive: true, mode: 0o700 });
    const pair = await keyPair(layout.sshIdentity);
    this.writeKnownHosts();
    return {
      identityFile: layout.sshIdentity,
      publicKey: pair.public,
      knownHostsFile: layout.sshKnownHosts,
    };
  }

  /** The same, and the VM's own key. From now on clients know the VM by it, and by no other. */
  async open({ id, name }: KnownVm): Promise<SshDoor> {
    const { private: hostKey } = await keyPair(this.#options.layout.sshHostKey(id));
    return { ...(await this.ensure()), id, name, hostKey };
  }

  /** Writes the file of known hosts anew, from the VMs that there are. */
  writeKnownHosts(): void {
    const { layout, vms } = this.#options;
    if (!existsSync(layout.sshDir)) return;
    const lines = vms().flatMap(({ id, name }) => {
      const path = `${layout.sshHostKey(id)}.pub`;
      if (!existsSync(path)) return [];
      return [`${name}${SSH_SUFFIX},${id}${SSH_SUFFIX} ${readFileSync(path, "utf8").trim()}\n`];
    });
    replaceFileDurably(layout.sshKnownHosts, lines.join(""));
  }
}

/** Reads the key at `path`, or makes one; the public half, beside it, is there whenever the private one is. */
async function keyPair(path: string): Promise<KeyPair> {
  const { default: ssh2 } = await import("ssh2");
  if (existsSync(path)) {
    const text = readFileSync(path, "utf8");
    const key = ssh2.utils.parseKey(text);
    if (key instanceof Error) {
      throw new BangerError("failed_precondition", `${path} is no key: ${key.message}`, {
        cure: `remove it, and a new one is made: rm ${path}`,
        cause: key,
      });
    }
    return { private: text, public: `${key.type} ${key.getPublicSSH().toString("base64")}` };
  }
  const made = generateKey(ssh2.utils);
  replaceFileDurably(`${path}.pub`, `${made.public}\n`);
  replaceFileDurably(path, made.private);
  return made;
}

/** Keys made until one can be read: ssh2 1.17 writes one in two hundred so that neither it nor OpenSSH takes it. */
const MAX_KEYS = 20;

/** A new key. `internal` when the library makes none that can be read. */
export function generateKey(utils: Pick<typeof ssh2Utils, "generateKeyPairSync" | "parseKey">): KeyPair {
  for (let made = 0; made < MAX_KEYS; made += 1) {
    const pair = utils.generateKeyPairSync("ed25519", { comment: "banger" });
    if (utils.parseKey(pair.private) instanceof Error) continue;
    return { private: pair.private, public: pair.public.split(" ").slice(0, 2).join(" ") };
  }
  throw new BangerError("internal", "no key could be made");
}
