/** A capability that does nothing, notes each call, and fails when it is told to. */
import type { Capability } from "../../src/model/capability.ts";
import { BangerError } from "../../src/model/errors.ts";

export type Hook = "preflight" | "prepare" | "contribute" | "changed" | "cleanup";

export class Saboteur {
  readonly capability: Capability;
  /** The hooks that were called, oldest first. */
  readonly calls: Hook[] = [];
  readonly #name: string;
  readonly #left = new Map<Hook, number>();

  constructor(name: string) {
    this.#name = name;
    this.capability = {
      name,
      preflight: () => this.#called("preflight"),
      prepare: async () => this.#called("prepare"),
      contribute: () => this.#called("contribute"),
      changed: async () => this.#called("changed"),
      cleanup: async () => this.#called("cleanup"),
    };
  }

  /** The next `times` calls of `hook` fail. */
  fail(hook: Hook, times = 1): void {
    this.#left.set(hook, times);
  }

  #called(hook: Hook): void {
    this.calls.push(hook);
    const left = this.#left.get(hook) ?? 0;
    if (left === 0) return;
    this.#left.set(hook, left - 1);
    throw new BangerError("unavailable", `${this.#name} was told to fail in ${hook}`);
  }
}
