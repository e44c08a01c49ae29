/** What the parts of the contract have in common. */
import { expect } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import type { Duplex } from "node:stream";
import { BangerError } from "../../model/errors.ts";
import type { Machine } from "../../model/machine.ts";
import { findHypervisors } from "../hypervisor-user.ts";
import { type DriverHandles, type Running } from "../port.ts";
import type { ContractBench, ContractSubject } from "./bench.ts";

/** What each part gets: the subject, and a way to a bench that is cleaned up after the test. */
export interface ContractContext {
  readonly subject: ContractSubject;
  readonly setUp: () => Promise<ContractBench>;
}

export async function closeOf(channel: Duplex): Promise<void> {
  await new Promise<void>((resolve) => channel.once("close", resolve));
}

export async function carriesBytes(subject: ContractSubject, channel: Duplex): Promise<void> {
  if (subject.exchange !== undefined) await subject.exchange(channel);
  expect(channel.destroyed).toBe(false);
}

export function expectNothingLeft(machine: Machine, runtimeDir: string): void {
  expect(findHypervisors(machine.id)).toEqual([]);
  expect(existsSync(runtimeDir) ? readdirSync(runtimeDir) : []).toEqual([]);
}

export function writtenDown(running: Running): DriverHandles {
  return JSON.parse(JSON.stringify(running.handles)) as DriverHandles;
}

export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected something");
  return value;
}

export async function failureOf(promise: Promise<unknown>): Promise<BangerError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(BangerError);
  return BangerError.from(thrown);
}
