/** From records to the bodies of the API. */
import { basename } from "node:path";
import type { Exec } from "../api/types/exec.ts";
import type { Damage, ImageDetails as ImageDetailsBody } from "../api/types/image-care.ts";
import type { Image } from "../api/types/images.ts";
import type { Kernel } from "../api/types/kernels.ts";
import type { Listener } from "../api/types/use.ts";
import type { Vm } from "../api/types/vms.ts";
import type { GuestExec } from "../guest/commands.ts";
import type { ExplainedDamage, ImageDetails } from "../images/image-reports.ts";
import type { NamedKernel } from "../images/kernel-service.ts";
import type { GuestListener } from "../model/guest-use.ts";
import { formatHostPort } from "../model/published-port.ts";
import { exitCodeOfSignal } from "../model/signals.ts";
import type { VmRecord } from "../model/vm.ts";
import type { ImageRecord } from "../store/images.ts";
import { pendingFields } from "../vms/set.ts";
import type { Vms } from "../vms/vms.ts";
import type { Services } from "./services.ts";

export function presentVm(vms: Vms, record: VmRecord): Vm {
  const live = vms.live(record.id);
  return {
    id: record.id,
    name: record.name,
    state: record.state,
    spec: record.spec,
    imageDigest: record.imageDigest,
    address: record.address,
    ephemeral: record.ephemeral,
    directory: vms.directory(record.id),
    parent: record.parent,
    driver: record.driver,
    bootId: record.bootId,
    pid: live?.running.handles.process.pid,
    responsive: live?.responsive,
    createdAt: record.createdAt,
    startedAt: record.startedAt,
    stoppedAt: record.stoppedAt,
    lastError: record.lastError,
    pending: pendingFields(record),
    startSteps: record.startSteps,
  };
}

/** One VM with what its image says of itself, and with what is wrong with its ports. */
export function presentShownVm(
  { vms, published, networkWay, network }: Pick<Services, "vms" | "published" | "networkWay" | "network">,
  record: VmRecord,
): Vm {
  const { exposedPorts, labels } = vms.imageConfig(record);
  const problems = published.problems(record.id);
  const portProblems = problems.length === 0 ? undefined : problems;
  const address6 = network.network.attachment(record.id)?.vm.address6;
  return {
    ...presentVm(vms, record),
    address6,
    networkWay: networkWay(record.id),
    portProblems,
    exposedPorts,
    labels,
  };
}

/** What listens in a guest, with where this host listens for it. */
export function presentListeners({ spec }: VmRecord, listeners: readonly GuestListener[]): Listener[] {
  return listeners.map((listener) => {
    const published = (spec.ports ?? [])
      .filter(({ guestPort, protocol }) => guestPort === listener.port && protocol === listener.protocol)
      .map(formatHostPort);
    return published.length === 0 ? listener : { ...listener, published };
  });
}

export function presentImage(record: ImageRecord): Image {
  const { name, digest, sizeBytes, source, createdAt } = record;
  return { name, digest, sizeBytes, source, createdAt };
}

export function presentImageDetails(details: ImageDetails): ImageDetailsBody {
  const { record, names, users, usable, manifestDigest, blobs } = details;
  return { ...presentImage(record), config: record.config, names, vms: users, usable, manifestDigest, blobs };
}

export function presentDamage({ kind, id, problem, names, vms, cure }: ExplainedDamage): Damage {
  return { kind, id, problem, names, vms, cure };
}

export function presentKernel({ name, kernel, sizeBytes, users, problem }: NamedKernel): Kernel {
  const { id, release, source, createdAtMs } = kernel;
  const modules = kernel.modules.map((path) => basename(path, ".ko"));
  const facts = { name, id, release, source, sizeBytes, modules, vms: users, createdAt: createdAtMs };
  return problem === undefined ? facts : { ...facts, problem };
}

export function presentExec(exec: GuestExec): Exec {
  const { id, pid, argv, startedMs, running, tty = false, exitCode, signal } = exec;
  const code = signal === undefined ? exitCode : exitCodeOfSignal(signal);
  return { id, pid, argv, startedAt: Math.round(startedMs), running, tty, exitCode: code };
}
