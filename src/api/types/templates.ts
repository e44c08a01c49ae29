/** Bodies about templates. */
import type { SavedTemplate } from "../../model/template.ts";

export interface Template extends SavedTemplate {
  /** Clones of it that wait in the warm pool. */
  readonly pooled: number;
}
