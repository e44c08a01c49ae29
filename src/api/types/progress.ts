/** What a long operation says while it is under way. */
import type { ErrorBody } from "../../model/errors.ts";
import type { ProgressEvent } from "../../model/progress.ts";

/** A line of an NDJSON answer: progress, then exactly one `result` or `error`. */
export type ProgressLine =
  | ProgressEvent
  | { readonly event: "error"; readonly error: ErrorBody }
  | { readonly event: "result"; readonly result?: unknown };
