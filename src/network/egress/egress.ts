/** The ways out over agents' channels, of all VMs of this daemon that have no network card. */
import type { NetworkVm } from "../elements.ts";
import { type EgressOptions, EgressSession } from "./session.ts";

export class Egress implements Disposable {
  readonly #options: EgressOptions;
  readonly #sessions = new Map<string, EgressSession>();

  constructor(options: EgressOptions) {
    this.#options = options;
  }

  /** Whether this VM is to go out this way. */
  has(id: string): boolean {
    return this.#sessions.has(id);
  }

  /** Whether it can, as far as is known. */
  serves(id: string): boolean {
    return this.#sessions.get(id)?.hopeless === false;
  }

  /** Resolves when the guest has its way out, or it is known that it cannot have one. Safe to repeat. */
  async open(vm: NetworkVm): Promise<void> {
    const known = this.#sessions.get(vm.id);
    const session = known ?? new EgressSession(vm, this.#options);
    this.#sessions.set(vm.id, session);
    await session.settled;
  }

  /** Another policy holds when this returns, for connections that are open, too. */
  change(vm: NetworkVm): void {
    this.#sessions.get(vm.id)?.change(vm);
  }

  /** Ends what goes out of a VM. Safe to repeat. */
  close(id: string): void {
    this.#sessions.get(id)?.close();
    this.#sessions.delete(id);
  }

  [Symbol.dispose](): void {
    for (const id of this.#sessions.keys()) this.close(id);
  }
}
