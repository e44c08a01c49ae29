/** The daemon's processes in the namespace of an ordinary user. */
import { readlinkSync } from "node:fs";
import { findByCommandLine, type MarkOptions, type ProcessHandle } from "../../src/lib/process-identity.ts";

/** Those in the namespace that `keeper` keeps. */
export function workersIn(
  keeper: ProcessHandle | undefined,
  options?: MarkOptions,
): readonly ProcessHandle[] {
  const there = keeper === undefined ? undefined : netOf(keeper.pid);
  if (there === undefined) throw new Error("nobody keeps the namespace");
  return findByCommandLine("inside", options).filter(({ pid }) => netOf(pid) === there);
}

function netOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}
