/** What a long operation says while it is under way. */
import type { ErrorBody } from "../../model/errors.ts";

/** A line of an NDJSON answer: progress, then exactly one `result` or `error`. */
export type ProgressLine =
  | { readonly event: "begin"; readonly stage: string }
  | { readonly event: "end"; readonly stage: string; readonly ms: number }
  | { readonly event: "note"; readonly text: string }
  | {
      readonly event: "layer";
      readonly digest: string;
      readonly doneBytes: number;
      readonly totalBytes: number;
    }
  | { readonly event: "error"; readonly error: ErrorBody }
  | { readonly event: "result"; readonly result?: unknown };
