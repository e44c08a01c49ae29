/**
 * The network of a user's VMs: the namespace while somebody needs it, a tap and rules for each VM, and the uplink. What holds is
 * in the kernel; this object remembers it and finds it again. Its operations run one after the other.
 */
import { Turns } from "../lib/turns.ts";
import { NOWHERE } from "../model/addresses.ts";
import { address6Of } from "../model/addresses6.ts";
import { BangerError } from "../model/errors.ts";
import { addScript, changeScript, deleteScript, type NetworkVm, vmElements } from "./elements.ts";
import { currentHost, hostScript, hostText } from "./host-addresses.ts";
import { NamedAddresses, type NamedAnswer } from "./named-addresses.ts";
import { type NetworkPlan, withPool6 } from "./names.ts";
import { createNamespace, findNamespace } from "./namespace.ts";
import type { Attachment, NetworkOptions } from "./network-options.ts";
import { listPorts } from "./ports.ts";
import { createRuleset } from "./ruleset.ts";
import { TapPool } from "./tap-pool.ts";

/** A namespace that nobody uses is kept so long: the next start is then quick. */
const LINGER_MS = 60_000;

export class Network implements Disposable {
  readonly #options: NetworkOptions;
  readonly #attached = new Map<string, Attachment>();
  readonly #pool: TapPool;
  readonly #named: NamedAddresses;
  #services = new DisposableStack();
  #up = false;
  #plan: NetworkPlan;
  #host = "";
  readonly #turns = new Turns();
  #linger: Disposable | undefined;

  constructor(options: NetworkOptions) {
    const { plan, onProblem } = options;
    const { inside } = options.ground;
    this.#options = options;
    this.#plan = plan;
    this.#named = new NamedAddresses((script) => inside.programs.nft(plan.netnsPath, script));
    this.#pool = new TapPool({
      netnsPath: plan.netnsPath,
      inside,
      size: options.tapPoolSize,
      isIpv6: () => this.#plan.ipv6 !== undefined,
      onProblem: (error) => onProblem("making taps", error),
    });
  }

  /** Of the namespace that is there: one that VMs are in keeps the IPv6 pool that it was made with. */
  get plan(): NetworkPlan {
    return this.#plan;
  }

  /** Whether the namespace is there, as far as this daemon knows. */
  get up(): boolean {
    return this.#up;
  }

  get readyTaps(): number {
    return this.#pool.ready;
  }

  attachment(id: string): Attachment | undefined {
    return this.#attached.get(id);
  }

  /** The VM that has this address. */
  vmAt(address: string): NetworkVm | undefined {
    for (const { vm } of this.#attached.values()) {
      if (vm.address === address || vm.address6 === address) return vm;
    }
    return undefined;
  }

  /** Puts a VM on the network: its tap lets through what its policy says and nothing else. Errors: `unavailable`, `internal`. */
  async attach(wanted: NetworkVm): Promise<Attachment> {
    return await this.#turns.run(async () => {
      await this.#ensure();
      const vm = this.#placed(wanted);
      await this.#remove(vm.id);
      this.#options.onStep("network:tap");
      const tap = await this.#pool.take();
      // Without an address nothing passes the tap, in either direction.
      const elements = vm.address === NOWHERE ? [] : vmElements(vm, tap);
      const attachment = { vm, tap, elements };
      this.#attached.set(vm.id, attachment);
      this.#options.onStep("network:rules");
      await this.#nft(this.#hostScript() + addScript(attachment.elements));
      this.#pool.fill();
      return attachment;
    });
  }

  /** Gives a VM that is attached another policy, at once and for its open connections too; does nothing for others. */
  async change(wanted: NetworkVm): Promise<void> {
    await this.#turns.run(async () => {
      const vm = this.#placed(wanted);
      const before = this.#attached.get(vm.id);
      if (before === undefined) return;
      const elements = vmElements(vm, before.tap);
      this.#options.onStep("network:policy");
      const forget = deleteScript(this.#named.of(before.vm.address));
      await this.#nft(this.#hostScript() + forget + changeScript(before.elements, elements));
      this.#named.forget(before.vm.address);
      this.#attached.set(vm.id, { ...before, vm, elements });
    });
  }

  /** Lets a VM reach what the resolver is about to tell it; does nothing when its policy is another one by now. */
  async allowNamed(vm: NetworkVm, answer: NamedAnswer): Promise<void> {
    if (this.#named.holds(vm, answer)) return;
    await this.#turns.run(async () => {
      if (this.#attached.get(vm.id)?.vm === vm) await this.#named.allow(vm, answer);
    });
  }

  /** Resolves when no tap is being made or removed in the background. */
  async settled(): Promise<void> {
    await this.#pool.settled();
  }

  /** Takes a VM off the network; safe to repeat. */
  async detach(id: string): Promise<void> {
    await this.#turns.run(async () => {
      await this.#remove(id);
      if (!this.#up || this.#attached.size > 0) return;
      this.#linger?.[Symbol.dispose]();
      this.#linger = this.#options.later(LINGER_MS, () => {
        this.down().catch((error: unknown) => this.#options.onProblem("removing the network", error));
      });
    });
  }

  /**
   * After a restart of the daemon: takes over the namespace with those of `vms` that are in it, with rules as new; everybody
   * else's taps are removed, and a namespace that nobody uses too.
   */
  async recover(vms: readonly NetworkVm[]): Promise<void> {
    await this.#turns.run(async () => {
      const found = await findNamespace(this.plan, this.#options.ground);
      if (found === undefined) return await this.#removeRemains();
      this.#plan = withPool6(this.plan, found.pool6);
      const ports = await listPorts(this.plan.netnsPath, this.#options.ground.inside.programs);
      for (const wanted of vms) {
        const vm = this.#placed(wanted);
        const port = ports.find((one) => one.id === vm.id);
        if (port === undefined) continue;
        this.#attached.set(vm.id, { vm, tap: port.tap, elements: vmElements(vm, port.tap) });
      }
      if (this.#attached.size === 0) return await this.#takeDown();
      const elements = [...this.#attached.values()].flatMap((one) => one.elements);
      this.#options.onStep("network:recover");
      await this.#nft(this.#ruleset() + addScript(elements));
      const used = new Set([...this.#attached.values()].map(({ tap }) => tap));
      this.#pool.discard(found.taps.filter((tap) => !used.has(tap)));
      await this.#options.uplink.ensure(this.plan);
      this.#serve();
      this.#pool.fill();
    });
  }

  /**
   * Removes the namespace. Errors: `failed_precondition` while VMs are in it.
   */
  async down(): Promise<void> {
    await this.#turns.run(async () => {
      if (this.#attached.size > 0) {
        throw new BangerError("failed_precondition", `${this.#attached.size} running VMs use the network`, {
          cure: "stop them first: banger ps shows them",
        });
      }
      await this.#takeDown();
    });
  }

  /** The daemon ends: what VMs use stays, the rest goes. */
  async close(): Promise<void> {
    if (this.#up && this.#attached.size === 0) await this.down();
    this[Symbol.dispose]();
  }

  /** Lets go of everything and changes nothing in the kernel. */
  [Symbol.dispose](): void {
    this.#linger?.[Symbol.dispose]();
    this.#services.dispose();
    this.#options.uplink.release();
    this.#options.ground.inside.programs.release(this.plan.netnsPath);
  }

  /** With the address that goes with this network's IPv6 pool. */
  #placed(vm: NetworkVm): NetworkVm {
    const { ipv6 } = this.#plan;
    return { ...vm, address6: ipv6 === undefined ? undefined : address6Of(ipv6.pool, vm.address) };
  }

  async #ensure(): Promise<void> {
    const { ground, uplink, onStep } = this.#options;
    this.#linger?.[Symbol.dispose]();
    if (this.#up && !ground.exists()) await this.#lose();
    if (this.#up) return await uplink.ensure(this.plan);
    this.#plan = this.#options.plan;
    onStep("network:up");
    await createNamespace(this.plan, ground, { ruleset: this.#ruleset(), onStep });
    onStep("network:uplink");
    try {
      await uplink.ensure(this.plan);
    } catch (error) {
      await this.#giveUp();
      throw error;
    }
    this.#serve();
  }

  /** A namespace without a way out serves nobody, and nobody would remove it: the next VM makes another. */
  async #giveUp(): Promise<void> {
    try {
      await this.#takeDown();
    } catch (error) {
      this.#options.onProblem("removing the network", error);
    }
  }

  /** Somebody else removed the namespace: the VMs in it are cut off, and what is here is of no use. */
  async #lose(): Promise<void> {
    this.#up = false;
    this.#attached.clear();
    this.#pool.clear();
    this.#services.dispose();
    this.#options.onProblem("the network", new Error(`${this.plan.netnsPath} was removed from outside`));
    await this.#options.uplink.stop();
  }

  #serve(): void {
    this.#services = new DisposableStack();
    this.#up = true;
    for (const start of this.#options.services) {
      try {
        this.#services.use(start(this.plan));
      } catch (error) {
        this.#options.onProblem("a service of the network", error);
      }
    }
  }

  async #takeDown(): Promise<void> {
    const { ground, uplink, onStep } = this.#options;
    this.#up = false;
    this.#linger?.[Symbol.dispose]();
    this.#services.dispose();
    await this.#pool.settled();
    this.#pool.clear();
    onStep("network:down");
    await uplink.stop();
    onStep("network:remove");
    await ground.remove();
    this.#plan = this.#options.plan;
  }

  /** What a daemon left that died while it made the namespace or removed it. */
  async #removeRemains(): Promise<void> {
    const { ground, uplink } = this.#options;
    if ((await ground.find()) === "nothing") return;
    await uplink.stop();
    await ground.remove();
  }

  async #remove(id: string): Promise<void> {
    const found = this.#attached.get(id);
    if (found === undefined) return;
    if (!this.#options.ground.exists()) return void this.#attached.delete(id);
    this.#options.onStep("network:detach");
    const named = this.#named.of(found.vm.address);
    await this.#nft(deleteScript([...found.elements, ...named]));
    this.#named.forget(found.vm.address);
    this.#attached.delete(id);
    this.#pool.discard([found.tap]);
  }

  #ruleset(): string {
    const host = currentHost();
    this.#host = hostText(host);
    return createRuleset({ ...host, pool6: this.#plan.ipv6?.pool });
  }

  /** The host's addresses come and go. */
  #hostScript(): string {
    const host = currentHost();
    if (hostText(host) === this.#host) return "";
    this.#host = hostText(host);
    return hostScript(host, this.#plan.ipv6 !== undefined);
  }

  async #nft(script: string): Promise<void> {
    await this.#options.ground.inside.programs.nft(this.plan.netnsPath, script);
  }
}
