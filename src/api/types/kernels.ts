/** Bodies about kernels. */

export interface Kernel {
  readonly name: string;
  /** sha256 of the kernel and its modules. */
  readonly id: string;
  /** `uname -r`, as far as it is known. */
  readonly release: string;
  /** Where it came from, for a person. */
  readonly source: string;
  readonly sizeBytes: number;
  /** The modules that guests load, in this order. */
  readonly modules: readonly string[];
  /** VMs that boot it, at most five. */
  readonly vms: readonly string[];
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Why it cannot be booted, and the cure; then its other facts are empty. */
  readonly problem?: string | undefined;
}

/** A file, or the host's own kernel when there is no path. */
export interface ImportKernel {
  readonly name: string;
  /** An absolute path of a vmlinuz or vmlinux on the host. */
  readonly path?: string | undefined;
  /** An absolute path of its modules, such as /lib/modules/RELEASE. */
  readonly modulesDir?: string | undefined;
  /** What the file's checksum must be. */
  readonly sha256?: string | undefined;
}
