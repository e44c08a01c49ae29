/** Named steps: each is announced, timed, and remembered. */
import type { OnProgress } from "../model/progress.ts";
import type { StepTiming } from "../model/vm.ts";

/** Hears how long a step took; must not throw. */
export type OnTiming = (operation: string, step: string, ms: number) => void;

export interface StepsOptions {
  readonly onProgress: OnProgress;
  readonly onStep: (step: string) => void;
  readonly onTiming: OnTiming;
}

export class Steps {
  readonly timings: StepTiming[] = [];
  readonly #operation: string;
  readonly #onProgress: OnProgress;
  readonly #onStep: (step: string) => void;
  readonly #onTiming: OnTiming;

  constructor(operation: string, options: StepsOptions) {
    this.#operation = operation;
    this.#onProgress = options.onProgress;
    this.#onStep = options.onStep;
    this.#onTiming = options.onTiming;
  }

  async run<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    this.#onStep(`${this.#operation}:${name}`);
    this.#onProgress({ event: "begin", stage: name });
    const from = performance.now();
    const result = await work();
    const ms = performance.now() - from;
    this.timings.push({ name, ms });
    this.#onTiming(this.#operation, name, ms);
    this.#onProgress({ event: "end", stage: name, ms });
    return result;
  }
}
