/** Progress by layer, told often enough for a person and not for each packet. */
import type { Clock } from "../../lib/clock.ts";
import type { OnProgress } from "../../model/progress.ts";
import type { BlobFacts } from "../oci/descriptor.ts";

const INTERVAL_MS = 100;

export class LayerProgress {
  readonly #clock: Clock;
  readonly #onProgress: OnProgress;
  readonly #toldAtMs = new Map<string, number>();

  constructor(clock: Clock, onProgress: OnProgress) {
    this.#clock = clock;
    this.#onProgress = onProgress;
  }

  /** So much of the layer is there; told at most ten times a second. */
  moved(layer: BlobFacts, doneBytes: number): void {
    // The end is told once, when the layer is verified.
    if (doneBytes >= layer.sizeBytes) return;
    const nowMs = this.#clock.now();
    if (nowMs - (this.#toldAtMs.get(layer.digest) ?? Number.NEGATIVE_INFINITY) < INTERVAL_MS) return;
    this.#toldAtMs.set(layer.digest, nowMs);
    this.#tell(layer, doneBytes);
  }

  /** All of it is there, verified. */
  done(layer: BlobFacts): void {
    this.#tell(layer, layer.sizeBytes);
  }

  #tell({ digest, sizeBytes }: BlobFacts, doneBytes: number): void {
    this.#onProgress({ event: "layer", digest, doneBytes, totalBytes: sizeBytes });
  }
}
