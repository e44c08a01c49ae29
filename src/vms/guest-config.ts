/** What a guest is told when it starts: names, disks, process 1, and what its image asks for. */
import { posix } from "node:path";
import type { GuestConfig } from "../guest/guest-config.ts";
import type { ReadyImage } from "../model/boot.ts";
import { chooseInit } from "../model/init.ts";
import type { ImageConfig } from "../model/spec.ts";
import type { VmRecord } from "../model/vm.ts";
import type { Running } from "../vmm/port.ts";
import { namesOf } from "./identity.ts";

/** What PATH is when the image does not say: Debian's default for root. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** What the agent makes of one image. */
const MAX_DIRECTORIES = 256;

/** All but the mounts and the network, which the VM's capabilities contribute. */
export function guestConfig(vm: VmRecord, image: ReadyImage, running: Running): Omit<GuestConfig, "mounts"> {
  const init = chooseInit(vm.spec.init, image.config);
  return {
    // systemd without a machine id takes every boot for the first, and asks questions on the console.
    ...namesOf(vm),
    ...init,
    rootfs: { disk: "rootfs", type: "squashfs" },
    writable: { disk: "disk", type: "ext4" },
    env: { PATH: DEFAULT_PATH, ...image.config.env, ...vm.spec.env },
    directories: directoriesOf(image.config),
    poweroff: running.poweroff,
  };
}

/**
 * The image's working directory and volumes exist when commands run, as container runtimes have it. A volume's data is in the VM's
 * own disk and lives as long as the VM.
 */
function directoriesOf({ workdir, volumes = [] }: ImageConfig): string[] {
  const paths = [workdir ?? "/", ...volumes].map((path) => posix.resolve("/", path));
  return [...new Set(paths)].filter((path) => path !== "/").slice(0, MAX_DIRECTORIES);
}
