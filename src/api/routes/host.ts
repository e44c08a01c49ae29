/** What the operations on the daemon, its host and its network take and give. */
import { z } from "zod";
import type { Contracts } from "../contract.ts";
import { EmptySchema } from "../schemas/common.ts";
import { ConfigReportSchema, DaemonStatusSchema, DoctorReportSchema } from "../schemas/host.ts";
import {
  NetworkCheckSchema,
  NetworkDownSchema,
  NetworkReportSchema,
  NetworkVerdictSchema,
} from "../schemas/network.ts";
import { SshKeysSchema } from "../schemas/ssh.ts";

export const HOST_ROUTES: Contracts<
  "daemon" | "openapi" | "doctor" | "metrics" | "config" | "network" | "ssh"
> = {
  "daemon.status": { summary: "The daemon's state", answer: DaemonStatusSchema },
  "daemon.stop": { summary: "Ends the daemon; running VMs live on", answer: EmptySchema },
  openapi: { summary: "This document", answer: z.unknown() },
  metrics: { summary: "What the daemon counts, in Prometheus' text format", answer: z.string() },
  doctor: { summary: "What works on this host, what does not, and the cure", answer: DoctorReportSchema },
  config: {
    summary: "Every key of the configuration, and where its value came from",
    answer: ConfigReportSchema,
  },
  "network.show": {
    summary: "The network of this user's VMs, and why it is as it is",
    answer: NetworkReportSchema,
  },
  "network.down": {
    summary: "Removes the network's namespace; refused while VMs use it",
    answer: NetworkDownSchema,
  },
  "network.check": {
    summary: "Whether a VM may reach a target, and which rule says so",
    body: NetworkCheckSchema,
    answer: NetworkVerdictSchema,
  },
  "ssh.keys": { summary: "The key that opens VMs over SSH, made when it is missing", answer: SshKeysSchema },
};
