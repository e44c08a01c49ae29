/** Which versions of Firecracker banger drives, and what each of them brought. Data only; the source is Firecracker's CHANGELOG.md. */

/** How virtio devices are attached. */
export type Transport = "mmio" | "pci";

/**
 * Devices are described by ACPI since 1.8.0; before, only by the kernel command line, which Debian's kernels do not read
 * (CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES is not set).
 */
export const MIN_VERSION = "1.8.0";
/** The API is versioned semantically: another major number may mean anything else. */
export const TOO_NEW_VERSION = "2.0.0";

/** What the version at hand has beyond `MIN_VERSION`. */
export interface VersionFeatures {
  /** `--enable-pci` (1.13.0). */
  readonly pci: boolean;
  /** `PUT /serial` with a rate limiter (1.16.0). */
  readonly serialRateLimit: boolean;
  /** Snapshots whose clones have a vsock socket of their own: `vsock_override` (1.16.0); taps since 1.12.0. */
  readonly snapshot: boolean;
  /** `huge_pages` of `PUT /snapshot/load` (1.17.0). */
  readonly loadHugePages: boolean;
}

/** `version` as Firecracker prints it, such as `1.13.1` or `1.17.0-dev`; a pre-release counts as the release. */
export function featuresOf(version: string): VersionFeatures {
  const since = (first: string): boolean => isAtLeast(version, first);
  return {
    pci: since("1.13.0"),
    serialRateLimit: since("1.16.0"),
    snapshot: since("1.16.0"),
    loadHugePages: since("1.17.0"),
  };
}

export function isAtLeast(version: string, first: string): boolean {
  return Bun.semver.order(version.replace(/-.*$/, ""), first) >= 0;
}

/** MAX_SUPPORTED_VCPUS in Firecracker's machine_config.rs. */
export const MAX_VCPUS = 32;
/** MAX_INSTANCE_ID_LEN in Firecracker's validators.rs, which the process's marker has to fit. */
export const MAX_ID_LENGTH = 64;
