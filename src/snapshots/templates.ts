/**
 * Templates: machines that booted an image and were saved, so that the next VM of that image and shape need not boot. They are made
 * while nobody waits, used as long as they are trusted, and can be thrown away at any time: a template makes a start faster, and
 * never makes it fail.
 */
import { quiet } from "../lib/quiet.ts";
import { BangerError } from "../model/errors.ts";
import type { SavedMachine, TemplateWish, WarmStarts } from "../model/saved.ts";
import { parseTemplateId, templateId, templateKey } from "./template-key.ts";
import { saveTemplate, type TemplateGuest } from "./template-recipe.ts";
import { TemplateShelf, type TemplateShelfOptions } from "./template-shelf.ts";

/** Boots a machine that is no VM, for `work`, and ends it afterwards. */
export type BootAside = <T>(
  wish: TemplateWish,
  work: (guest: TemplateGuest) => Promise<T>,
  signal: AbortSignal,
) => Promise<T>;

export interface TemplatesOptions extends TemplateShelfOptions {
  readonly bootAside: BootAside;
  /** Of the host. */
  readonly availableMemoryBytes: () => number;
  readonly onStep: (step: string) => void;
  /** How long after a boot a template is begun: whoever booted has work to do first. */
  readonly quietMs: number;
  /** One has come to be. */
  readonly onMade: () => void;
}

/** A template is not begun when the host has less than this many times its memory left, and as much of disk. */
const SPARE = 2;
/** Wishes that wait; more are forgotten, and made when they are missed again. */
const MAX_WAITING = 8;
const MIB = 1024 * 1024;

export class Templates implements WarmStarts {
  readonly #options: TemplatesOptions;
  /** Where they are, and those of work trees beside them. */
  readonly shelf: TemplateShelf;
  readonly #ending = new AbortController();
  /** Ids that were begun in this daemon's life: one that could not be made is not tried again and again. */
  readonly #begun = new Set<string>();
  #waiting = 0;
  #making: Promise<void> = Promise.resolve();

  constructor(options: TemplatesOptions) {
    this.#options = options;
    this.shelf = new TemplateShelf({
      ...options,
      onRemove: async (id) => {
        // It may be made anew.
        this.#begun.delete(id);
        await options.onRemove(id);
      },
    });
  }

  async find(wish: TemplateWish): Promise<SavedMachine | undefined> {
    if (!this.shelf.isOpen) return undefined;
    const id = this.#fitting(wish);
    return id === undefined ? undefined : await this.shelf.open(id);
  }

  async distrust(saved: SavedMachine, why: BangerError): Promise<void> {
    await this.shelf.discard(saved.id, why);
  }

  missed(wish: TemplateWish): void {
    const id = templateId(templateKey(wish), wish.diskMib);
    if (!this.shelf.isOpen || this.#ending.signal.aborted || this.#begun.has(id)) return;
    if (this.#waiting >= MAX_WAITING) return;
    this.#begun.add(id);
    this.#waiting += 1;
    this.#making = this.#making.then(async () => {
      await quiet(this.#options.quietMs, this.#ending.signal);
      await this.#tryMake(id, wish);
      this.#waiting -= 1;
    });
  }

  /** Resolves when none is being made and none waits to be. */
  async settled(): Promise<void> {
    await this.#making;
  }

  /** Gives up what is being made; nothing of it is left when this resolves. */
  async stop(): Promise<void> {
    this.#ending.abort(new BangerError("cancelled", "the daemon ends"));
    await this.#making;
  }

  /** The one with the largest disk that is not too large. */
  #fitting(wish: TemplateWish): string | undefined {
    const key = templateKey(wish);
    const sizes = this.shelf
      .ids()
      .map(parseTemplateId)
      .flatMap((one) => (one?.key === key && one.diskMib <= wish.diskMib ? [one.diskMib] : []));
    return sizes.length === 0 ? undefined : templateId(key, Math.max(...sizes));
  }

  async #tryMake(id: string, wish: TemplateWish): Promise<void> {
    const { log } = this.#options;
    if (this.#ending.signal.aborted) return;
    try {
      const why = await this.#tooTight(wish);
      if (why !== undefined) {
        log.info({ template: id, why }, "no template is made");
        return;
      }
      const from = performance.now();
      await this.#make(id, wish);
      log.info({ template: id, ms: Math.round(performance.now() - from) }, "a template was made");
      this.#options.onMade();
    } catch (error) {
      if (!this.#ending.signal.aborted)
        log.warn({ template: id, err: error }, "a template could not be made");
    }
  }

  async #make(id: string, wish: TemplateWish): Promise<void> {
    const { bootAside, onStep } = this.#options;
    const { signal } = this.#ending;
    const { image, vcpus, memoryMib, driver } = wish.inputs;
    onStep("template:boot");
    await this.shelf.publish(id, async (dir) => {
      await bootAside(wish, async (guest) => await saveTemplate(guest, dir, signal), signal);
      onStep("template:publish");
      const createdAt = this.#options.now();
      const facts = { imageName: wish.imageName, image, vcpus, memoryMib, driver, createdAt };
      return { diskMib: wish.diskMib, facts };
    });
  }

  async #tooTight({ inputs }: TemplateWish): Promise<string | undefined> {
    const need = inputs.memoryMib * MIB * SPARE;
    if (this.#options.availableMemoryBytes() < need) return "the host has too little memory left";
    return (await this.shelf.lacks(need)) ? "the host has too little disk left" : undefined;
  }
}
