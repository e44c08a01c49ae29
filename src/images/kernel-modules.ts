/**
 * Chooses the modules that a kernel needs to find banger's devices, with everything that they depend on, in
 * the order in which they must be loaded. Dependencies come from the modules themselves (`depends=` in their
 * `.modinfo` section, scripts/mod/modpost.c), because `modules.dep` is made by depmod on installation and no
 * package ships it.
 */
import { parseElf } from "../lib/elf.ts";
import { BangerError } from "../model/errors.ts";

/** What a guest may need, under any driver: buses, disks, console, network, file systems, entropy, vsock. */
export const WANTED_MODULES: readonly string[] = [
  "virtio_pci",
  "virtio_mmio",
  "virtio_blk",
  "virtio_console",
  "virtio_net",
  "squashfs",
  "overlay",
  "virtio-rng",
  "vmw_vsock_virtio_transport",
];

/** What a guest may need and can do without: brought along where the kernel has it, and loaded where the machine asks for it. */
export const MODULES_ON_DEMAND: readonly string[] = ["tun"];

/** A module taken out of a package, decompressed. `name` is its file's name without `.ko`. */
export interface KernelModule {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Where modules come from. Names are given in canonical form (see `canonicalName`). */
export interface ModuleSource {
  /** The module, or undefined when there is no such file. */
  load(name: string): Promise<KernelModule | undefined>;
  /** Whether `modules.builtin` lists it. */
  isBuiltin(name: string): boolean;
}

/**
 * The wanted modules and what they depend on, each after its dependencies. Those that are built in are left
 * out; so are those on demand that the kernel does not have. Errors: `invalid_argument` when one is neither there nor built in, or when they depend on each other
 * in a circle.
 */
export async function chooseModules(
  source: ModuleSource,
  wanted: readonly string[] = WANTED_MODULES,
  onDemand: readonly string[] = MODULES_ON_DEMAND,
): Promise<KernelModule[]> {
  const ordered: KernelModule[] = [];
  const state = new Map<string, "open" | "done">();

  const visit = async (requested: string, neededBy: string): Promise<void> => {
    const name = canonicalName(requested);
    if (state.get(name) === "done") return;
    if (state.get(name) === "open") {
      throw new BangerError("invalid_argument", `the kernel module ${name} depends on itself`);
    }
    state.set(name, "open");
    const module = await source.load(name);
    if (module !== undefined) {
      for (const dependency of moduleDependencies(module.bytes)) await visit(dependency, name);
      ordered.push(module);
    } else if (!source.isBuiltin(name)) {
      throw new BangerError(
        "invalid_argument",
        `the kernel has no module ${name}, which ${neededBy} needs, and it is not built in`,
      );
    }
    state.set(name, "done");
  };

  for (const name of wanted) await visit(name, "a guest");
  for (const name of onDemand) {
    if ((await source.load(canonicalName(name))) !== undefined) await visit(name, "a guest");
  }
  return ordered;
}

/** The canonical names that a module says it depends on. Errors: `invalid_argument` when it is not a module. */
export function moduleDependencies(bytes: Uint8Array): string[] {
  const info = parseElf(bytes, "a kernel module").section(".modinfo");
  if (info === undefined)
    throw new BangerError("invalid_argument", "a kernel module has no .modinfo section");
  const entry = Buffer.from(info)
    .toString("latin1")
    .split("\0")
    .find((line) => line.startsWith("depends="));
  const names = (entry ?? "").slice("depends=".length).split(",");
  return names.filter((name) => name !== "").map(canonicalName);
}

/** Module names are compared with `-` and `_` as one, as modprobe(8) does. */
export function canonicalName(name: string): string {
  return name.replaceAll("-", "_");
}

/** `kernel/fs/overlayfs/overlay.ko.xz` → `overlay`; undefined when the path is not a module's. */
export function moduleNameFromPath(path: string): string | undefined {
  return /(?:^|\/)([A-Za-z0-9_-]{1,64})\.ko(?:\.(?:xz|zst|gz))?$/u.exec(path)?.[1];
}

/** The canonical names of a `modules.builtin` file (one path a line, Documentation/kbuild/kbuild.rst). */
export function parseBuiltin(text: string): Set<string> {
  const names = text.split("\n").map((line) => moduleNameFromPath(line.trim()));
  return new Set(names.filter((name) => name !== undefined).map(canonicalName));
}
