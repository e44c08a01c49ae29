/** The configured rates: on which devices they end up, and what is said where they do not hold. */
import { expect, test } from "bun:test";
import type { CapabilityContext, MachineDraft } from "../model/capability.ts";
import type { VmRecord } from "../model/vm.ts";
import { createRatesCapability, type RatesOptions } from "./rates-capability.ts";
import { checkRates } from "./rates-check.ts";

const DISK = { bytesPerSecond: 2 ** 20, opsPerSecond: 100 };
const NIC = { bytesPerSecond: 2 ** 21 };
const VM = { id: "a1b2c3" } as unknown as VmRecord;
const CONTEXT = { vm: VM } as unknown as CapabilityContext;

function createDraft(): MachineDraft {
  return {
    disks: [
      { id: "rootfs", path: "/r", readOnly: true },
      { id: "disk", path: "/d", readOnly: false },
    ],
    nics: [{ id: "net0", mac: "52:54:00:00:00:01", tap: "tap0" }],
    mounts: [],
    cmdline: [],
  };
}

function createSubject(rates: Pick<RatesOptions, "disk" | "nic">, holdsNics: boolean) {
  const problems: string[] = [];
  const capability = createRatesCapability({
    ...rates,
    holdsNics: () => Promise.resolve(holdsNics),
    onProblem: (id, problem) => problems.push(`${id}: ${problem}`),
  });
  return { capability, problems };
}

test("every disk and every card gets its rate", () => {
  const draft = createDraft();
  createSubject({ disk: DISK, nic: NIC }, true).capability.contribute?.(CONTEXT, draft);
  expect(draft.disks.map(({ id, rate }) => [id, rate])).toEqual([
    ["rootfs", DISK],
    ["disk", DISK],
  ]);
  expect(draft.nics.map(({ id, rate }) => [id, rate])).toEqual([["net0", NIC]]);
});

test("without a configured rate no device has one", () => {
  const draft = createDraft();
  createSubject({ disk: undefined, nic: undefined }, true).capability.contribute?.(CONTEXT, draft);
  expect(draft).toEqual(createDraft());
});

test("a rate of cards that the driver does not hold is said at the start, and none is said where none is set", async () => {
  await using undo = new AsyncDisposableStack();
  for (const [nic, holds, count] of [
    [NIC, false, 1],
    [NIC, true, 0],
    [undefined, false, 0],
  ] as const) {
    const { capability, problems } = createSubject({ disk: undefined, nic }, holds);
    await capability.prepare?.(CONTEXT, undo);
    expect(problems).toHaveLength(count);
  }
});

test("doctor says which rates hold, and which do not", async () => {
  const report = await checkRates({ disk: DISK, nic: NIC }, () => Promise.resolve(false))();
  expect(report.rows.map(({ verdict, message }) => [verdict, message])).toEqual([
    ["pass", "1 MiB/s and 100 operations/s of each disk"],
    ["warn", "not of network_rate: the driver does not limit network cards"],
  ]);
  expect(report.capabilities).toEqual({ "limits.disk_rate": true, "limits.network_rate": false });
  const held = await checkRates({ disk: undefined, nic: NIC }, () => Promise.resolve(true))();
  expect(held.rows.map(({ verdict, message }) => [verdict, message])).toEqual([
    ["pass", "2 MiB/s of each network card, each way"],
  ]);
});
