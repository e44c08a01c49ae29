/** What a new VM is to be, as `run` and `create` take it: flags, then the work tree, then the environment. */
import { resolve } from "node:path";
import type { Command } from "commander";
import type { CreateVm } from "../../api/types/vms.ts";
import type { BootstrapSettings } from "../../model/bootstrap.ts";
import { validateImageName } from "../../model/image-reference.ts";
import { parseInit } from "../../model/init.ts";
import { validateKernelName } from "../../model/kernel-names.ts";
import { validateVmName } from "../../model/names.ts";
import type { NetworkWish } from "../../model/network-policy.ts";
import { validateVmm } from "../../model/spec.ts";
import { parseMount, validateMounts } from "../../model/volume.ts";
import { vmFromVariables } from "../vm-variables.ts";
import { addNetworkOptions, type NetworkFlags, parseNetwork } from "./network-flags.ts";
import { addPublishOption, type PortFlags, parsePorts } from "./port-flags.ts";
import { collect } from "./repeatable.ts";
import { parseSize, type SizeFlags } from "./size-flags.ts";

export interface VmFlags extends SizeFlags, NetworkFlags, PortFlags {
  readonly name?: string;
  readonly image?: string;
  readonly vmm?: string;
  readonly init?: string;
  readonly kernel?: string;
  readonly volume?: readonly string[];
  readonly cold?: boolean;
  readonly snapshot?: string;
}

export function addVmOptions(command: Command): Command {
  return addPublishOption(addNetworkOptions(command))
    .option("--name <name>", "the VM's name (default: a readable one is made)")
    .option("--image <name>", "the image (default: default_image of the configuration)")
    .option("--vcpus <n>", "virtual CPUs")
    .option("--memory <size>", "memory, such as 512M or 4G")
    .option("--disk <size>", "size of the writable disk, such as 8G")
    .option("--vmm <driver>", "firecracker or qemu (default: the best that the host has)")
    .option("--init <init>", "process 1 of the guest: agent or systemd (default: what the image says)")
    .option("--kernel <name>", "a kernel, host, or image: the image's own (default: debian)")
    .option(
      "-v, --volume <NAME:/PATH[:ro]>",
      "mount a volume, or ./DIR:/PATH:ro a copy of a directory; may be repeated",
      collect,
      [],
    )
    .option("--snapshot <name>", "go on from this snapshot")
    .option("--cold", "boot, even where a template would be faster");
}

/** Checks every flag before anything is touched. Errors: `invalid_argument`. */
export function createVm(flags: VmFlags, tree: BootstrapSettings = {}): CreateVm {
  const size = parseSize(flags);
  // What a snapshot says goes before what the environment says.
  const variables = flags.snapshot === undefined ? vmFromVariables(process.env) : {};
  return {
    name: flags.name === undefined ? undefined : validateVmName(flags.name),
    image: flags.image === undefined ? (tree.image ?? variables.image) : validateImageName(flags.image),
    vcpus: size.vcpus ?? tree.vcpus ?? variables.vcpus,
    memoryMib: size.memoryMib ?? tree.memoryMib ?? variables.memoryMib,
    diskMib: size.diskMib ?? tree.diskMib ?? variables.diskMib,
    vmm: flags.vmm === undefined ? undefined : validateVmm(flags.vmm),
    init: flags.init === undefined ? undefined : parseInit(flags.init),
    kernel: flags.kernel === undefined ? undefined : validateKernelName(flags.kernel),
    volumes: validateMounts((flags.volume ?? []).map((text) => parseMount(withAbsoluteDirectory(text)))),
    ports: parsePorts(flags) ?? tree.ports,
    snapshot: flags.snapshot === undefined ? undefined : validateVmName(flags.snapshot),
    network: networkOf(parseNetwork(flags), tree.network),
    env: tree.env,
  };
}

/** What the flags add to what a work tree says. */
function networkOf(flags: NetworkWish | undefined, tree: NetworkWish | undefined): NetworkWish | undefined {
  return flags === undefined || tree === undefined ? (flags ?? tree) : { ...tree, ...flags };
}

/** A directory is written as `.`, `./X`, `../X` or `/X`: seen from where banger is called. */
function withAbsoluteDirectory(text: string): string {
  const colon = text.indexOf(":");
  return colon > 0 && /^\.{0,2}\/|^\.{1,2}:/.test(text)
    ? `${resolve(text.slice(0, colon))}${text.slice(colon)}`
    : text;
}
