/** One VM as text. */
import type { Vm } from "../../api/types/vms.ts";
import { formatPublished } from "../../model/published-port.ts";
import { formatBytes, formatDurationMs } from "../../model/quantities.ts";
import { type Fact, renderFacts } from "./facts.ts";

/** Characters of what an image says. */
const MAX_WORDS = 1000;

export function renderVm(vm: Vm): string {
  const facts: readonly Fact[] = [
    ["name", vm.name],
    ["id", vm.id],
    ["state", vm.responsive === false ? `${vm.state}, but the guest is silent` : vm.state],
    ["image", `${vm.spec.image} (${vm.imageDigest.slice(0, 12)})`],
    [
      "size",
      `${vm.spec.vcpus} ${vm.spec.vcpus === 1 ? "vCPU" : "vCPUs"}, ${formatBytes(vm.spec.memoryMib * 2 ** 20)} memory, ${formatBytes(vm.spec.diskMib * 2 ** 20)} disk`,
    ],
    ["next start", vm.pending.length === 0 ? undefined : `brings ${vm.pending.join(", ")}`],
    ["init", vm.spec.init],
    ["kernel", vm.spec.kernel],
    ["address", vm.address6 === undefined ? vm.address : `${vm.address}, ${vm.address6}`],
    ["published", vm.spec.ports?.map(formatPublished).join(", ") || undefined],
    ["not published", vm.portProblems?.join("; ")],
    ["serves", shortened(vm.exposedPorts)],
    ["labels", shortened(Object.entries(vm.labels ?? {}).map(([name, value]) => `${name}=${value}`))],
    ["network", networkText(vm)],
    ["reaches", vm.networkWay === "channel" ? "TCP and names, over the agent's channel" : undefined],
    ["driver", vm.driver],
    ["pid", vm.pid?.toString()],
    ["boot id", vm.bootId],
    ["directory", vm.directory],
    ["created", time(vm.createdAt)],
    ["started", time(vm.startedAt)],
    ["stopped", time(vm.stoppedAt)],
    ["last error", vm.lastError?.message.split("\n")],
    [
      "start",
      vm.startSteps.map((step) => `${step.name} ${formatDurationMs(step.ms)}`).join(", ") || undefined,
    ],
  ];
  return renderFacts(facts);
}

function shortened(words: readonly string[] = []): string | undefined {
  return words.join(", ").slice(0, MAX_WORDS) || undefined;
}

function networkText({ spec: { network } }: Vm): string {
  const list = (word: string, rules: readonly string[]): string =>
    rules.length === 0 ? "" : `, ${word} ${rules.join(" ")}`;
  return `${network.mode}${list("to", network.allow)}${list("but", network.deny)}${network.peers ? ", with peers" : ""}`;
}

function time(unixMs: number | undefined): string | undefined {
  return unixMs === undefined ? undefined : new Date(unixMs).toISOString();
}
