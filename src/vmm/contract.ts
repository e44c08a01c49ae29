/**
 * What every driver has to do, as tests. A driver's own test file calls `driverContract` with its factory; a driver
 * passes or is none.
 */
import { afterEach, describe } from "bun:test";
import { adoptContract } from "./contract/adopt.ts";
import { type ContractBench, type ContractSubject, createContractBench } from "./contract/bench.ts";
import { channelContract } from "./contract/channel.ts";
import { endContract } from "./contract/end.ts";
import { runningContract } from "./contract/running.ts";
import { snapshotContract } from "./contract/snapshot.ts";
import { startContract } from "./contract/start.ts";

export type { ContractSubject };

export function driverContract(subject: ContractSubject): void {
  describe(`${subject.name} driver`, () => {
    const benches: ContractBench[] = [];
    afterEach(async () => {
      for (const bench of benches.splice(0)) await bench[Symbol.asyncDispose]();
    });
    const setUp = async (): Promise<ContractBench> => {
      const bench = await createContractBench(subject);
      benches.push(bench);
      return bench;
    };
    const context = { subject, setUp };
    describe("start()", () => startContract(context));
    describe("a channel", () => channelContract(context));
    describe("the end of a machine", () => endContract(context));
    describe("adopt()", () => adoptContract(context));
    describe("a running machine", () => runningContract(context));
    if (subject.snapshots !== false) describe("a snapshot", () => snapshotContract(context));
  });
}
