/** A test daemon with a VM `web` that runs, for what is saved of it. */
import { readFileSync, writeFileSync } from "node:fs";
import type { CreateVm, Vm } from "../../src/sdk/index.ts";
import { createTestDaemon, type TestDaemon, type TestDaemonOptions } from "./test-daemon.ts";

export const WEB: CreateVm = { name: "web", image: "img", memoryMib: 128, diskMib: 64 };

export async function withWeb(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await createTestDaemon(options);
  await daemon.addImage("img");
  await daemon.client.createVm(WEB);
  return daemon;
}

export const wentOn = (vm: Vm): boolean => vm.startSteps.some(({ name }) => name === "resume");
export const works = async ({ client }: TestDaemon, vm: string): Promise<boolean> =>
  (await client.exec(vm, { argv: ["true"] }).exit)?.exitCode === 0;

/** The disk of a VM is marked where no file system has anything. */
export function mark({ layout, client }: TestDaemon, text: string): { read(vm: string): Promise<string> } {
  const at = 60 * 2 ** 20;
  const disk = async (vm: string): Promise<string> => layout.disk((await client.showVm(vm)).id);
  return {
    async read(vm) {
      return readFileSync(await disk(vm))
        .subarray(at, at + text.length)
        .toString();
    },
  };
}

export async function writeMark({ layout, client }: TestDaemon, text: string): Promise<void> {
  const path = layout.disk((await client.showVm("web")).id);
  const bytes = readFileSync(path);
  bytes.write(text, 60 * 2 ** 20);
  writeFileSync(path, bytes);
}
