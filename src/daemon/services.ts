/** What the routes call: the services, composed once. */
import type { Logger } from "pino";
import type { ConfigReport, DaemonStatus, DoctorReport } from "../api/types/host.ts";
import type { SshKeyring } from "../host/ssh-keys.ts";
import type { ImageService } from "../images/image-service.ts";
import type { KernelService } from "../images/kernel-service.ts";
import type { PublishedPorts } from "../network/published/published-ports.ts";
import type { NetworkService } from "../network/service.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Templates } from "../snapshots/templates.ts";
import type { Volumes } from "../storage/volumes.ts";
import type { EventTable } from "../store/events.ts";
import type { Vms } from "../vms/vms.ts";
import type { Workspaces } from "../workspaces/workspaces.ts";
import type { Metrics } from "./metrics.ts";

export interface Services {
  readonly vms: Vms;
  readonly images: ImageService;
  readonly kernels: KernelService;
  readonly volumes: Volumes;
  readonly published: PublishedPorts;
  /** How a VM that is up reaches others. */
  readonly networkWay: (id: string) => "card" | "channel" | undefined;
  readonly sshKeys: SshKeyring;
  readonly templates: Templates;
  readonly workspaces: Workspaces;
  readonly snapshots: Snapshots;
  readonly network: NetworkService;
  readonly events: EventTable;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly version: string;
  status(): DaemonStatus;
  doctor(): Promise<DoctorReport>;
  config(): ConfigReport;
  /** Ends the daemon after the answer is out. */
  requestStop(): void;
}
