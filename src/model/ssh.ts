/** The SSH door of VMs: what its client and its server need. */

/** What VMs are called on an SSH client's command line: NAME.vm. */
export const SSH_SUFFIX = ".vm";

/** What an SSH client needs; paths of this host. */
export interface SshKeys {
  /** The user's private key. */
  readonly identityFile: string;
  /** The same key's public line. */
  readonly publicKey: string;
  /** Host keys of all VMs that have one, by `NAME.vm` and `ID.vm`. */
  readonly knownHostsFile: string;
}

/** What an SSH server of one VM needs. */
export interface SshDoor extends SshKeys {
  readonly id: string;
  readonly name: string;
  /** The VM's own private key, in OpenSSH's format; forgotten with the VM. */
  readonly hostKey: string;
}
