/** Requests about a tree of the guest whose other copy is the host's. Field for field those of protocol/README.md, `type` for `kind`. */

export type GuestTreeRequest =
  | { readonly type: "scan"; readonly path: string }
  /** `names`: relative, any bytes, each ended by NUL, as base64. */
  | { readonly type: "pick" | "remove"; readonly path: string; readonly names: string }
  | { readonly type: "rename"; readonly from: string; readonly to: string }
  | {
      readonly type: "splice";
      readonly path: string;
      /** As the host knows the file. */
      readonly size: number;
      readonly changedSeconds: number;
      readonly changedNanoseconds: number;
      readonly maxSize: number;
    };
