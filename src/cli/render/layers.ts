/** Progress by layer as words for a person. */
import type { ProgressLine } from "../../api/types/progress.ts";
import { formatBytes } from "../../model/quantities.ts";

type LayerLine = Extract<ProgressLine, { event: "layer" }>;

/** Sums up what the layers of one operation say. */
export class LayerSum {
  readonly #layers = new Map<string, LayerLine>();

  /** How far all are that were heard of: `2 of 5 layers, 12 MiB of 40 MiB`. */
  summary(line: LayerLine): string {
    this.#layers.set(line.digest, line);
    const all = [...this.#layers.values()];
    const done = all.filter((layer) => layer.doneBytes === layer.totalBytes).length;
    const sum = (field: "doneBytes" | "totalBytes"): string =>
      formatBytes(all.reduce((total, layer) => total + layer[field], 0));
    return `${done} of ${all.length} layers, ${sum("doneBytes")} of ${sum("totalBytes")}`;
  }

  /** One that is there. */
  finished({ digest, totalBytes }: LayerLine): string {
    return `layer ${digest.slice(digest.indexOf(":") + 1).slice(0, 12)} ${formatBytes(totalBytes)}`;
  }
}
