/**
 * The table of configuration keys: what each is called in `config.toml`, what it may be, what it is when nobody says, and what it
 * does. A key that nothing obeys is not here.
 */
import { DEFAULT_POOL, validatePool } from "./addresses.ts";
import { validatePool6 } from "./addresses6.ts";
import { catalogKind } from "./catalog-settings.ts";
import {
  ACCELERATORS,
  type Config,
  type HostSize,
  JAILER_WISHES,
  LOG_LEVELS,
  NETWORK_WAYS,
  TRANSPORTS,
} from "./config.ts";
import {
  bytesPerSecond,
  durationMs,
  type Kind,
  oneOf,
  orWord,
  ruled,
  sizeMib,
  wholeNumber,
} from "./config-kinds.ts";
import { DEFAULT_DETACH_KEYS, validateDetachKeys } from "./detach-keys.ts";
import { BangerError } from "./errors.ts";
import { fileSyncKind } from "./file-sync.ts";
import { validateImageName } from "./image-reference.ts";
import { RATE_LIMITS } from "./limits.ts";
import { quote } from "./names.ts";
import { registriesKind } from "./registries.ts";
import { defaultSize, SPEC_LIMITS } from "./spec.ts";
import { warmPoolKind } from "./warm-pool.ts";

export interface ConfigKey<T> {
  /** Its path in `config.toml`, dotted. */
  readonly path: string;
  readonly kind: Kind<T>;
  readonly byDefault: (host: HostSize) => T;
  /** How the default is found, where it depends on the host. */
  readonly defaultWords?: string;
  /** What it does: one line, without a full stop. */
  readonly description: string;
}

const MINUTE_MS = 60_000;

const HOUR_MS = 60 * MINUTE_MS;

const WAIT_RANGE = { min: 1000, max: HOUR_MS };

export const CONFIG_KEYS: { readonly [P in keyof Config]: ConfigKey<Config[P]> } = {
  logLevel: {
    path: "log_level",
    kind: oneOf(LOG_LEVELS),
    byDefault: () => "info",
    description: "How much the daemon writes to its log",
  },
  defaultImage: {
    path: "default_image",
    kind: ruled('the name of an image, such as "debian"', validateImageName),
    byDefault: () => "debian",
    description: "The image of a VM that is made without --image",
  },
  detachKeys: {
    path: "detach_keys",
    kind: ruled('letters and "ctrl-X" with commas between, or "none"', validateDetachKeys),
    byDefault: () => DEFAULT_DETACH_KEYS,
    description: "The keys that leave a command on a terminal running, one after the other",
  },
  vcpus: {
    path: "vm_defaults.vcpus",
    kind: wholeNumber(SPEC_LIMITS.vcpus),
    byDefault: (host) => defaultSize(host).vcpus,
    defaultWords: "a quarter of the host's cores, 1 to 4",
    description: "Virtual CPUs of a VM that is made without --vcpus",
  },
  memoryMib: {
    path: "vm_defaults.memory",
    kind: sizeMib(SPEC_LIMITS.memoryMib),
    byDefault: (host) => defaultSize(host).memoryMib,
    defaultWords: "an eighth of the host's memory, 512M to 8G",
    description: "Memory of a VM that is made without --memory",
  },
  diskMib: {
    path: "vm_defaults.disk",
    kind: sizeMib(SPEC_LIMITS.diskMib),
    byDefault: (host) => defaultSize(host).diskMib,
    description: "Size of the writable disk of a VM that is made without --disk",
  },
  addressPool: {
    path: "network.address_pool",
    kind: ruled('an IPv4 network from /8 to /30, such as "172.16.0.0/24"', validatePool),
    byDefault: () => DEFAULT_POOL,
    description: "Where new VMs get their addresses from; VMs that exist keep theirs",
  },
  pool6: {
    path: "network.pool6",
    kind: orWord(
      "off",
      ruled('a unique local IPv6 network from /16 to /96, such as "fd5b:a9e1:30c7::/64"', validatePool6),
    ),
    byDefault: () => undefined,
    description: "Where guests with a network card get their IPv6 addresses from; off: they have none",
  },
  networkWay: {
    path: "network.mode",
    kind: oneOf(NETWORK_WAYS),
    byDefault: () => "auto",
    description:
      "How guests reach others: with cards in a namespace of banger's, over the agent's channel, or the first where it works",
  },
  tapPoolSize: {
    path: "network.tap_pool_size",
    kind: wholeNumber({ min: 0, max: 256 }),
    byDefault: () => 4,
    description: "How many network taps wait for the next starts while VMs run",
  },
  dnsPort: {
    path: "network.dns_port",
    kind: wholeNumber({ min: 0, max: 65_535 }),
    byDefault: () => 15_353,
    description: "The port on 127.0.0.1 where the host can ask for NAME.vm while VMs run; 0 for none",
  },
  bootTimeoutMs: {
    path: "boot_timeout",
    kind: durationMs(WAIT_RANGE),
    // Software emulation on a busy machine is slow.
    byDefault: () => 2 * MINUTE_MS,
    description: "How long a guest may take from its start until its agent answers",
  },
  stopTimeoutMs: {
    path: "stop_timeout",
    kind: orWord("auto", durationMs(WAIT_RANGE)),
    byDefault: () => undefined,
    description:
      "How long a guest may take to power off before its process is ended; stop --timeout goes before it. auto is 10s, and 90s for one that boots the init of its image",
  },
  autoStopAfterMs: {
    path: "auto_stop_after",
    kind: orWord("never", durationMs({ min: 1000, max: 365 * 24 * HOUR_MS })),
    byDefault: () => undefined,
    description: "How long a running VM may be without a command in it before it is stopped",
  },
  diskRate: {
    path: "limits.disk_rate",
    kind: orWord("none", bytesPerSecond(RATE_LIMITS.bytesPerSecond)),
    byDefault: () => undefined,
    description: "The most that a VM reads and writes on each of its disks",
  },
  diskIops: {
    path: "limits.disk_iops",
    kind: orWord("none", wholeNumber(RATE_LIMITS.opsPerSecond)),
    byDefault: () => undefined,
    description: "The most operations per second on each disk of a VM",
  },
  networkRate: {
    path: "limits.network_rate",
    kind: orWord("none", bytesPerSecond(RATE_LIMITS.bytesPerSecond)),
    byDefault: () => undefined,
    description: "The most that a VM sends, and the most that it receives; only with Firecracker",
  },
  qemuBin: {
    path: "vmm.qemu.bin",
    kind: ruled("the name of a program or an absolute path", validateProgram),
    byDefault: () => "qemu-system-x86_64",
    description: "The QEMU program",
  },
  qemuAccelerator: {
    path: "vmm.qemu.accelerator",
    kind: oneOf(ACCELERATORS),
    byDefault: () => "auto",
    description: "How QEMU runs guests: with KVM, by emulation (tcg), or with KVM where it works",
  },
  firecrackerBin: {
    path: "vmm.firecracker.bin",
    kind: ruled("the name of a program or an absolute path", validateProgram),
    byDefault: () => "firecracker",
    description: "The Firecracker program",
  },
  firecrackerJailer: {
    path: "vmm.firecracker.jailer",
    kind: oneOf(JAILER_WISHES),
    byDefault: () => "auto",
    description:
      "Whether Firecracker runs in a jail, which needs root: always, never, or where there is root and a jailer",
  },
  firecrackerJailerBin: {
    path: "vmm.firecracker.jailer_bin",
    kind: ruled("the name of a program or an absolute path", validateProgram),
    byDefault: () => "jailer",
    description: "Firecracker's jailer, of the same version",
  },
  firecrackerChrootBase: {
    path: "vmm.firecracker.chroot_base",
    kind: ruled('an absolute path, or "default", which is STATE/jails', validateDirectory),
    byDefault: () => "default",
    description:
      "Where jails are made; best on the file system of images and disks, which are linked into them",
  },
  firecrackerTransport: {
    path: "vmm.firecracker.transport",
    kind: oneOf(TRANSPORTS),
    byDefault: () => "mmio",
    description: "How Firecracker attaches devices; pci needs Firecracker 1.13",
  },
  templatesMaxCount: {
    path: "templates.max_count",
    kind: wholeNumber({ min: 0, max: 1000 }),
    byDefault: () => 16,
    description: "How many templates are kept for warm starts; 0: none are made or used, and every VM boots",
  },
  templatesMaxMib: {
    path: "templates.max_size",
    kind: sizeMib({ min: 1, max: SPEC_LIMITS.diskMib.max }),
    byDefault: () => 8 * 1024,
    description: "How much of the disk all templates may take; the least recently used go first",
  },
  warmPool: {
    path: "warm_pool",
    kind: warmPoolKind,
    byDefault: () => ({}),
    description:
      "Of which images how many machines are kept ready, so that a new VM of the default size need not wait",
  },
  fileSync: {
    path: "file_sync",
    kind: fileSyncKind,
    byDefault: () => [],
    description: "Files of the host that every start copies into the guest",
  },
  imageMaxEntries: {
    path: "images.max_entries",
    kind: wholeNumber({ min: 1000, max: 5_000_000 }),
    byDefault: () => 500_000,
    description:
      "How many files the layers of an image may have; each takes half a kilobyte of memory while it is made",
  },
  imageMaxSizeMib: {
    path: "images.max_size",
    kind: sizeMib({ min: 1, max: 16 * 1024 * 1024 }),
    byDefault: () => 64 * 1024,
    description: "How large the layers of an image may be when they are unpacked, holes included",
  },
  imageMaxRatio: {
    path: "images.max_ratio",
    kind: wholeNumber({ min: 10, max: 1_000_000 }),
    byDefault: () => 1000,
    description:
      "How many times larger than its blob a layer may be when it is unpacked, if that is over 256M",
  },
  imageMaxPathBytes: {
    path: "images.max_path",
    kind: wholeNumber({ min: 256, max: 65_536 }),
    byDefault: () => 4096,
    description: "How many bytes a path in an image may have",
  },
  imageMaxXattrBytes: {
    path: "images.max_xattr",
    kind: wholeNumber({ min: 1024, max: 1_048_576 }),
    byDefault: () => 131_072,
    description: "How many bytes the extended attributes of a file in an image may have together",
  },
  registries: {
    path: "registries",
    kind: registriesKind,
    byDefault: () => ({}),
    description: "How registries are reached: their mirrors, plain HTTP, and whose certificates to trust",
  },
  catalog: {
    path: "catalog",
    kind: catalogKind,
    byDefault: () => ({}),
    description:
      "Images that the catalog has beside its own: Debian with packages, or a name for a reference",
  },
};

/** Errors: `invalid_argument`. */
function validateDirectory(path: string): string {
  if (path === "default" || /^\/[^\0\n]{0,4095}$/.test(path)) return path;
  throw new BangerError("invalid_argument", `the directory ${quote(path)} is not an absolute path`);
}

/** The daemon works in `/`, so that a relative path would mean nothing. Errors: `invalid_argument`. */
function validateProgram(name: string): string {
  const fits = /^[^\0\n]{1,4096}$/.test(name) && (name.startsWith("/") || !name.includes("/"));
  if (fits && name.trim() === name) return name;
  throw new BangerError(
    "invalid_argument",
    `the program ${quote(name)} is neither a name nor an absolute path`,
  );
}
