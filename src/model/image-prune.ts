/** What a prune of images did with one thing, or would do. */
export interface PruneItem {
  readonly kind: "image" | "blob" | "download";
  /** The digest; of a download its file's name. */
  readonly id: string;
  /** Of an image. */
  readonly names: readonly string[];
  readonly sizeBytes: number;
  /** False: it stays. */
  readonly removed: boolean;
  /** Why it goes or stays, a phrase for a person. */
  readonly reason: string;
}
