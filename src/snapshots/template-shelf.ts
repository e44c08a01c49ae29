/** Where templates are kept: bounded, the least recently used go first, and none is trusted that was damaged. */
import { readdirSync, statSync, utimesSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { removeLeftovers } from "../lib/publish.ts";
import { BangerError } from "../model/errors.ts";
import type { SavedTemplate } from "../model/template.ts";
import { type Saved, SavedFiles } from "./saved-files.ts";
import { isTemplateId } from "./template-key.ts";

export interface TemplateShelfOptions {
  readonly dir: string;
  /** 0: none are kept, and none are used. */
  readonly maxCount: number;
  readonly maxBytes: number;
  readonly log: Logger;
  readonly now: () => number;
  /** One is removed: what goes on from it and waits for work goes first. Must not throw. */
  readonly onRemove: (id: string) => Promise<void>;
}

export class TemplateShelf {
  readonly #options: TemplateShelfOptions;
  readonly #files: SavedFiles;

  constructor(options: TemplateShelfOptions) {
    this.#options = options;
    this.#files = new SavedFiles(options.dir);
  }

  get isOpen(): boolean {
    return this.#options.maxCount > 0;
  }

  ids(): string[] {
    let names: readonly string[];
    try {
      names = readdirSync(this.#options.dir);
    } catch {
      // None was ever made.
      return [];
    }
    return names.filter(isTemplateId);
  }

  /** The template of this id, whole and used now; undefined where there is none, and a damaged one is discarded. Never throws. */
  async open(id: string): Promise<Saved | undefined> {
    if (!this.isOpen || !this.ids().includes(id)) return undefined;
    try {
      await this.#files.verify(id);
      const saved = this.#files.read(id);
      const now = this.#options.now() / 1000;
      utimesSync(saved.dir, now, now);
      return saved;
    } catch (error) {
      await this.discard(id, BangerError.from(error));
      return undefined;
    }
  }

  /** As `SavedFiles.publish`; what is over the bounds then goes. Returns whether it stays. */
  async publish(id: string, fill: Parameters<SavedFiles["publish"]>[1]): Promise<boolean> {
    await this.#files.publish(id, fill);
    await this.#evict();
    return this.ids().includes(id);
  }

  /** Whether the disk has less than so many bytes left. */
  async lacks(bytes: number): Promise<boolean> {
    const { bavail, bsize } = await statfs(join(this.#options.dir, ".."));
    return bavail * bsize < bytes;
  }

  /** All that are whole, the one that was used last first. */
  list(): SavedTemplate[] {
    return this.ids()
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
  async remove(id: string): Promise<SavedTemplate> {
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
    const ids = this.ids();
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

  /** It is never used again. Never throws. */
  async discard(id: string, why: BangerError): Promise<void> {
    this.#options.log.warn({ template: id, err: why }, "a template was discarded");
    await this.#forget(id).catch((error: unknown) => {
      this.#options.log.error({ template: id, err: error }, "a template could not be removed");
    });
  }

  /** The least recently used go first; one that alone is too large goes alone. */
  async #evict(): Promise<void> {
    const { maxCount, maxBytes, log } = this.#options;
    const kept = { count: 0, bytes: 0 };
    for (const template of this.list()) {
      if (kept.count < maxCount && kept.bytes + template.sizeBytes <= maxBytes) {
        kept.count += 1;
        kept.bytes += template.sizeBytes;
        continue;
      }
      log.info({ template: template.id }, "a template was evicted");
      await this.#forget(template.id);
    }
  }

  /** It may be made anew. */
  async #forget(id: string): Promise<void> {
    await this.#options.onRemove(id);
    await this.#files.remove(id);
  }
}

function present({ id, dir, diskMib, facts, sizeBytes }: Saved): SavedTemplate {
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
    workspace: facts["workspace"] === undefined ? undefined : text("workspace"),
    sizeBytes,
    createdAt: number("createdAt"),
    usedAt: Math.round(statSync(dir).mtimeMs),
  };
}
