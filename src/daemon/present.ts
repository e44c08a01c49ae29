/** From records to the bodies of the API. */
import type { Image, Vm } from "../api/types.ts";
import type { VmRecord } from "../model/vm.ts";
import type { ImageRecord } from "../store/images.ts";
import type { Vms } from "../vms/vms.ts";

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
    driver: record.driver,
    bootId: record.bootId,
    pid: live?.running.handles.process.pid,
    responsive: live?.connected?.responsive,
    createdAt: record.createdAt,
    startedAt: record.startedAt,
    stoppedAt: record.stoppedAt,
    lastError: record.lastError,
    startSteps: record.startSteps,
  };
}

export function presentImage(record: ImageRecord): Image {
  const { name, digest, sizeBytes, source, createdAt } = record;
  return { name, digest, sizeBytes, source, createdAt };
}
