/** What the services are composed of. */
import type { Logger } from "pino";
import type { LoadedConfig } from "../../host/config.ts";
import type { Layout } from "../../host/layout.ts";
import type { KernelServiceOptions } from "../../images/kernel-service.ts";
import type { ImageSource } from "../../model/boot.ts";
import type { Capability } from "../../model/capability.ts";
import type { Driver } from "../../vmm/port.ts";
import type { IdleClock } from "../../vms/idle.ts";

export interface ComposeOptions {
  readonly layout: Layout;
  readonly config: LoadedConfig;
  /** Loads the configuration anew, to compare. Errors: `invalid_argument`. */
  readonly reloadConfig: () => LoadedConfig;
  readonly version: string;
  /** What runs this program, before its arguments; absent: an ordinary user's guests have no cards. */
  readonly self?: readonly string[] | undefined;
  /** The guest agent's binary. */
  readonly agentPath: string;
  readonly log: Logger;
  readonly requestStop: () => void;
  /** In order of preference; default: Firecracker, then QEMU. */
  readonly drivers?: readonly Driver[];
  /** For tests: where kernel and initramfs come from when a driver needs none. */
  readonly bootFiles?: ImageSource["bootFiles"];
  /** For tests: other places that kernels come from. */
  readonly kernels?: Partial<Pick<KernelServiceOptions, "host" | "buildDebian">>;
  /** For tests: goes before the configuration. */
  readonly bootDeadlineMs?: number;
  readonly onStep?: (step: string) => void;
  /** For tests: capabilities after banger's own. */
  readonly capabilities?: readonly Capability[];
  /** For tests: how long after a boot its template is begun. */
  readonly templateQuietMs?: number;
  /** Default: what the host has left. */
  readonly availableMemory?: () => number;
  /** Default: the host's clock. Unix milliseconds. */
  readonly now?: () => number;
  /** Default: the host's monotonic clock. */
  readonly idleClock?: IdleClock;
}
