/** Bodies about images. */

export interface Image {
  readonly name: string;
  /** sha256 of the root file system. */
  readonly digest: string;
  readonly sizeBytes: number;
  /** Where it came from, for a person. */
  readonly source: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

export interface PullImage {
  readonly name: string;
  readonly platform?: string | undefined;
}

export interface ExportImageQuery {
  /** `oci`: a layout with the blobs that the image came with; `rootfs`: its files. Absent: `oci`. */
  readonly format?: "oci" | "rootfs" | undefined;
}

export interface ImportImage {
  readonly name: string;
  /** An absolute path of a root file system tar on the host. */
  readonly path: string;
}
