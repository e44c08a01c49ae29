/** What a long operation says while it runs. */

/**
 * A named stage that began, ended (with its duration), or a line for a person in between; and how far the fetching of one of
 * several layers is, at its end with `doneBytes` equal to `totalBytes`.
 */
export type ProgressEvent =
  | { readonly event: "begin"; readonly stage: string }
  | { readonly event: "end"; readonly stage: string; readonly ms: number }
  | { readonly event: "note"; readonly text: string }
  | {
      readonly event: "layer";
      readonly digest: string;
      readonly doneBytes: number;
      readonly totalBytes: number;
    };

/** Receives progress; must not throw and must not block. */
export type OnProgress = (event: ProgressEvent) => void;
