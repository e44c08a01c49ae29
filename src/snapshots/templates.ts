/**
 * Templates: machines that booted an image and were saved, so that the next VM of that image and shape need not boot. They are made
 * while nobody waits, used as long as they are trusted, and can be thrown away at any time: a template makes a start faster, and
 * never makes it fail.
 */
import { readdirSync, statSync, utimesSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { removeLeftovers } from "../lib/publish.ts";
import { quiet } from "../lib/quiet.ts";
import { BangerError } from "../model/errors.ts";
import type { SavedMachine, TemplateWish, WarmStarts } from "../model/saved.ts";
import { type Saved, SavedFiles } from "./saved-files.ts";
import { parseTemplateId, templateId, templateKey } from "./template-key.ts";
import { saveTemplate, type TemplateGuest } from "./template-recipe.ts";

/** A template as people see it. */
export interface Template {
  readonly id: string;
  readonly image: string;
  readonly imageDigest: string;
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  readonly driver: string;
  readonly sizeBytes: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly usedAt: number;
}

/** Boots a machine that is no VM, for `work`, and ends it afterwards. */
export type BootAside = <T>(
  wish: TemplateWish,
  work: (guest: TemplateGuest) => Promise<T>,
  signal: AbortSignal,
) => Promise<T>;

export interface TemplatesOptions {
  readonly dir: string;
  /** 0: none are made, and none are used. */
  readonly maxCount: number;
  readonly maxBytes: number;
  readonly bootAside: BootAside;
  /** Of the host. */
  readonly availableMemoryBytes: () => number;
  readonly log: Logger;
  readonly now: () => number;
  readonly onStep: (step: string) => void;
  /** How long after a boot a template is begun: whoever booted has work to do first. */
  readonly quietMs: number;
  /** One has come to be. */
  readonly onMade: () => void;
  /** One is removed: what went on from it and waits for work goes first. Must not throw. */
  readonly onRemove: (id: string) => Promise<void>;
}

/** A template is not begun when the host has less than this many times its memory left, and as much of disk. */
const SPARE = 2;
/** Wishes that wait; more are forgotten, and made when they are missed again. */
const MAX_WAITING = 8;
const MIB = 1024 * 1024;

export class Templates implements WarmStarts {
  readonly #options: TemplatesOptions;
  readonly #files: SavedFiles;
  readonly #ending = new AbortController();
  /** Ids that were begun in this daemon's life: one that could not be made is not tried again and again. */
  readonly #begun = new Set<string>();
  #waiting = 0;
  #making: Promise<void> = Promise.resolve();

  constructor(options: TemplatesOptions) {
    this.#options = options;
    this.#files = new SavedFiles(options.dir);
  }

  async find(wish: TemplateWish): Promise<SavedMachine | undefined> {
    if (this.#options.maxCount === 0) return undefined;
    const id = this.#fitting(wish);
    if (id === undefined) return undefined;
    try {
      await this.#files.verify(id);
      const saved = this.#files.read(id);
      this.#touch(saved);
      return saved;
    } catch (error) {
      await this.#discard(id, BangerError.from(error));
      return undefined;
    }
  }

  async distrust(saved: SavedMachine, why: BangerError): Promise<void> {
    await this.#discard(saved.id, why);
  }

  missed(wish: TemplateWish): void {
    const id = templateId(templateKey(wish), wish.diskMib);
    const { maxCount } = this.#options;
    if (maxCount === 0 || this.#ending.signal.aborted || this.#begun.has(id)) return;
    if (this.#waiting >= MAX_WAITING) return;
    this.#begun.add(id);
    this.#waiting += 1;
    this.#making = this.#making.then(async () => {
      await quiet(this.#options.quietMs, this.#ending.signal);
      await this.#tryMake(id, wish);
      this.#waiting -= 1;
    });
  }

  /** All that are whole, the one that was used last first. */
  list(): Template[] {
    return this.#ids()
      .flatMap((id) => {
        try {
          return [present(this.#files.read(id))];
        } catch {
          // Damaged, or just being removed: whoever needs it next discards it.
          return [];
        }
      })
      .toSorted((a, b) => b.usedAt - a.usedAt);
  }

  /** Errors: `not_found`. VMs that go on from it live on. */
  async remove(id: string): Promise<Template> {
    const found = this.list().find((template) => template.id === id);
    if (found === undefined) {
      throw new BangerError("not_found", `there is no template ${id}`, {
        cure: "list them with: banger template ls",
      });
    }
    await this.#forget(id);
    return found;
  }

  /** Removes all of them, damaged ones too; returns how many. */
  async prune(): Promise<number> {
    const ids = this.#ids();
    for (const id of ids) await this.#forget(id);
    return ids.length;
  }

  /** Removes what crashes left, templates of images that are gone, and what is over the bounds. Never throws. */
  async sweep(hasImage: (digest: string) => boolean): Promise<void> {
    try {
      await removeLeftovers(this.#options.dir);
      for (const template of this.list())
        if (!hasImage(template.imageDigest)) await this.#forget(template.id);
      await this.#evict();
    } catch (error) {
      this.#options.log.warn({ err: error }, "sweeping templates failed");
    }
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

  #ids(): string[] {
    let names: readonly string[];
    try {
      names = readdirSync(this.#options.dir);
    } catch {
      // None was ever made.
      return [];
    }
    return names.filter((name) => parseTemplateId(name) !== undefined);
  }

  /** The one with the largest disk that is not too large. */
  #fitting(wish: TemplateWish): string | undefined {
    const key = templateKey(wish);
    const sizes = this.#ids()
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
      await this.#evict();
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
    await this.#files.publish(id, async (dir) => {
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
    const { bavail, bsize } = await statfs(join(this.#options.dir, ".."));
    return bavail * bsize < need ? "the host has too little disk left" : undefined;
  }

  /** The least recently used go first. */
  async #evict(): Promise<void> {
    const { maxCount, maxBytes, log } = this.#options;
    let bytes = 0;
    for (const [index, template] of this.list().entries()) {
      bytes += template.sizeBytes;
      if (index < maxCount && bytes <= maxBytes) continue;
      log.info({ template: template.id }, "a template was evicted");
      await this.#forget(template.id);
    }
  }

  async #discard(id: string, why: BangerError): Promise<void> {
    this.#options.log.warn({ template: id, err: why }, "a template was discarded");
    await this.#forget(id).catch((error: unknown) => {
      this.#options.log.error({ template: id, err: error }, "a template could not be removed");
    });
  }

  /** It may be made anew. */
  async #forget(id: string): Promise<void> {
    this.#begun.delete(id);
    await this.#options.onRemove(id);
    await this.#files.remove(id);
  }

  #touch({ dir }: Saved): void {
    const now = this.#options.now() / 1000;
    utimesSync(dir, now, now);
  }
}

function present({ id, dir, diskMib, facts, sizeBytes }: Saved): Template {
  const text = (name: string): string => String(facts[name] ?? "");
  const number = (name: string): number => Number(facts[name] ?? 0);
  return {
    id,
    image: text("imageName"),
    imageDigest: text("image"),
    vcpus: number("vcpus"),
    memoryMib: number("memoryMib"),
    diskMib,
    driver: text("driver"),
    sizeBytes,
    createdAt: number("createdAt"),
    usedAt: Math.round(statSync(dir).mtimeMs),
  };
}
