/**
 * Templates of work trees: machines in which a work tree's setup has run, so that the next run of the same starts ready. They are made
 * by the run that did the setup, and are as little missed as any template.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import type { LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import type { BootstrapWish, KeptBootstraps } from "../model/kept.ts";
import type { SavedMachine, WorkspaceCarrier } from "../model/saved.ts";
import type { VmRecord } from "../model/vm.ts";
import { captureGuest } from "./capture.ts";
import { WORKSPACE } from "./saved-files.ts";
import type { HeldGuest } from "./snapshot-vms.ts";
import { templateKey } from "./template-key.ts";
import type { TemplateShelf } from "./template-shelf.ts";

export interface BootstrapsOptions {
  readonly shelf: TemplateShelf;
  readonly vms: () => { hold<T>(ref: string, work: (held: HeldGuest) => Promise<T>): Promise<T> };
  readonly workspaces: () => WorkspaceCarrier;
  /** banger's own. */
  readonly version: string;
  readonly log: Logger;
  readonly now: () => number;
  readonly onStep: (step: string) => void;
}

/** Raised when setup is run in another way. */
const RECIPE = 1;
const MIB = 1024 * 1024;

export class Bootstraps implements KeptBootstraps {
  readonly #options: BootstrapsOptions;

  constructor(options: BootstrapsOptions) {
    this.#options = options;
  }

  async find(wish: BootstrapWish): Promise<SavedMachine | undefined> {
    return await this.#options.shelf.open(this.#id(wish));
  }

  async distrust(saved: SavedMachine, why: BangerError): Promise<void> {
    await this.#options.shelf.discard(saved.id, why);
  }

  async keep(wish: BootstrapWish, vm: VmRecord, options: LongOptions): Promise<void> {
    const { shelf, log } = this.#options;
    if (!shelf.isOpen) return;
    const note = (why: string): void =>
      options.onProgress({ event: "note", text: `what the setup made is not kept for the next run: ${why}` });
    try {
      if (await shelf.lacks(2 * vm.spec.memoryMib * MIB)) return note("the host has too little disk left");
      options.onProgress({ event: "begin", stage: "keep" });
      const from = performance.now();
      const stays = await this.#save(wish, vm);
      options.onProgress({ event: "end", stage: "keep", ms: performance.now() - from });
      if (!stays) note("it is larger than templates.max_size");
    } catch (thrown) {
      const error = BangerError.from(thrown);
      log.warn({ vm: vm.id, err: error }, "what a setup made could not be kept");
      note(error.message);
    }
  }

  async #save(wish: BootstrapWish, { id, spec }: VmRecord): Promise<boolean> {
    const { shelf, now, onStep } = this.#options;
    const { imageName, inputs, diskMib } = wish.machine;
    const workspaces = this.#options.workspaces();
    const { image, vcpus, memoryMib, driver } = inputs;
    onStep("bootstrap:save");
    const stays = await shelf.publish(this.#id(wish), async (dir) => {
      // The workspace's lock before the VM's: nothing is sent to it meanwhile.
      await workspaces.hold(id, async () => {
        await this.#options.vms().hold(id, async ({ running, agent, diskPath }) => {
          if (running === undefined) throw notRunning(spec.image);
          const step = (name: string): void => onStep(`bootstrap:${name}`);
          await captureGuest({ running, agent, diskPath, goesOn: true, onStep: step }, dir);
          onStep("bootstrap:workspace");
          await workspaces.save(id, join(dir, WORKSPACE));
        });
      });
      onStep("bootstrap:publish");
      const createdAt = now();
      const facts = { imageName, image, vcpus, memoryMib, driver, createdAt, workspace: wish.hostPath };
      return { diskMib, facts };
    });
    onStep("bootstrap:done");
    return stays;
  }

  #id(wish: BootstrapWish): string {
    const { machine, spec, steps, tree } = wish;
    const { env, network, kernel } = spec;
    const sorted = Object.entries(env).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const all = [RECIPE, this.#options.version, templateKey(machine), sorted, network, kernel, steps, tree];
    const hash = createHash("sha256").update(JSON.stringify(all)).digest("hex").slice(0, 32);
    return `${hash}-${machine.diskMib}-w`;
  }
}

function notRunning(image: string): BangerError {
  return new BangerError("failed_precondition", `the VM of ${image} does not run any more`);
}
