/** Streams to files and connections of a guest: what is asked for, and what the guest says meanwhile. */

/** One path of an archive, and its name there; `.` leaves the names of what is in a directory as they are. */
export interface TarEntry {
  readonly path: string;
  readonly name: string;
}

/** Where a socket of the guest is: a TCP port, or the path of a Unix socket. */
export interface GuestEndpoint {
  /** IPv4 or IPv6; absent: the guest's loopback. */
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  readonly unix?: string | undefined;
  /** Whose a Unix socket is that is listened on, as `user` of an exec; absent: root. */
  readonly owner?: string | undefined;
}

/** Field for field the request of protocol/README.md, `type` for its `kind`. Paths are absolute in the guest. */
export type GuestStreamRequest =
  | { readonly type: "stat"; readonly path: string; readonly follow?: boolean | undefined }
  | { readonly type: "read"; readonly path: string; readonly offset?: number | undefined }
  | {
      readonly type: "write";
      readonly path: string;
      readonly mode: number;
      readonly uid?: number | undefined;
      readonly gid?: number | undefined;
    }
  | {
      readonly type: "put";
      readonly path: string;
      readonly mode: number;
      readonly uid?: number | undefined;
      readonly gid?: number | undefined;
      readonly mtimeMs: number;
      readonly key: string;
      readonly offset?: number | undefined;
    }
  | {
      readonly type: "tar-out";
      readonly paths: readonly TarEntry[];
      readonly follow?: boolean | undefined;
      readonly special?: boolean | undefined;
    }
  | {
      readonly type: "tar-in";
      readonly path: string;
      readonly uid?: number | undefined;
      readonly gid?: number | undefined;
      readonly keepOwners?: boolean | undefined;
      readonly special?: boolean | undefined;
    }
  | ({ readonly type: "dial" } & GuestEndpoint)
  | ({ readonly type: "listen" } & GuestEndpoint)
  | { readonly type: "accept"; readonly id: number };

export const GUEST_FILE_TYPES = ["file", "directory", "symlink", "fifo", "socket", "device"] as const;

/** A file of a guest, by the guest's own word. */
export interface GuestFileFacts {
  readonly type: (typeof GUEST_FILE_TYPES)[number];
  /** Bytes. */
  readonly size: number;
  /** Bytes that it takes of the disk; less than `size` for a file with holes. */
  readonly storedBytes: number;
  /** Permissions, at most 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Unix milliseconds, with a fraction. */
  readonly mtimeMs: number;
  /** Where a path really leads, when links were followed. */
  readonly path?: string | undefined;
}

/** What a guest says on such a stream beside its data. */
export type GuestStreamMessage =
  | { readonly file: GuestFileFacts }
  | { readonly connected: Readonly<Record<string, never>> }
  | { readonly listening: { readonly port: number } }
  | { readonly accepted: { readonly id: number } };
