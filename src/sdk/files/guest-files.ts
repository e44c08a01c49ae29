/**
 * Files of one VM, for programs: look, read, write, and copy trees both ways. What does the work is loaded when it is asked for: every
 * client has this module, and most of them never look at a file.
 */
import { BangerError } from "../../model/errors.ts";
import type { GuestFileFacts, GuestStreamRequest } from "../../model/guest-stream.ts";
import { GuestStream, type GuestStreamOptions } from "../guest-stream.ts";
import { type CopyOptions, type CopyResult, type GuestAccess, type LookOptions, send } from "./access.ts";

/** Errors of all methods: BangerError; `not_found` for paths that are not there, and the daemon's own. Paths are absolute in the guest. */
export class GuestFiles implements GuestAccess {
  readonly #open: (options: GuestStreamOptions & { readonly request: GuestStreamRequest }) => GuestStream;

  constructor(open: (options: GuestStreamOptions & { readonly request: GuestStreamRequest }) => GuestStream) {
    this.#open = open;
  }

  /** Opens a stream as the API has it; the caller disposes it. */
  open(request: GuestStreamRequest, options: GuestStreamOptions = {}): GuestStream {
    return this.#open({ ...options, request });
  }

  /** What a path is; `follow`: what it leads to, and where that is. */
  async stat(path: string, options: LookOptions = {}): Promise<GuestFileFacts> {
    const { follow = false, signal } = options;
    await using stream = this.open({ type: "stat", path, follow }, { signal });
    const result = await stream.result;
    const { GuestFileFactsSchema } = await import("../../api/schemas/guest-stream.ts");
    const parsed = GuestFileFactsSchema.safeParse(result);
    if (parsed.success) return parsed.data;
    throw new BangerError("guest_error", `the guest agent says nonsense about ${path}`);
  }

  /** As `stat`; undefined when nothing is there. */
  async statIfThere(path: string, options: LookOptions = {}): Promise<GuestFileFacts | undefined> {
    try {
      return await this.stat(path, options);
    } catch (error) {
      if (error instanceof BangerError && error.details["guestCode"] === "not_found") return undefined;
      throw error;
    }
  }

  /** The content of a file in pieces, from `offset` on. */
  async *readStream(
    path: string,
    options: { readonly offset?: number; readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<Uint8Array> {
    const { offset = 0, signal } = options;
    await using stream = this.open({ type: "read", path, offset }, { signal });
    yield* stream.data();
    await stream.result;
  }

  /** The content of a file. Errors: `resource_exhausted` above `maxBytes` (default: 64 MiB). */
  async readFile(
    path: string,
    options: { readonly maxBytes?: number; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Uint8Array> {
    const { maxBytes = 64 * 1024 * 1024, signal } = options;
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of this.readStream(path, { signal })) {
      size += piece.length;
      if (size > maxBytes)
        throw new BangerError("resource_exhausted", `${path} has more than ${maxBytes} bytes`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  /** Writes a file, all or nothing; missing directories are made, a link in its place is replaced. Returns its size. */
  async writeFile(
    path: string,
    content: string | Uint8Array | AsyncIterable<Uint8Array>,
    options: {
      readonly mode?: number;
      readonly uid?: number;
      readonly gid?: number;
      readonly signal?: AbortSignal | undefined;
    } = {},
  ): Promise<number> {
    const { mode = 0o644, uid = 0, gid = 0, signal } = options;
    await using stream = this.open({ type: "write", path, mode, uid, gid }, { signal });
    return await send(stream, typeof content === "string" ? Buffer.from(content) : content);
  }

  /** Copies a file or tree of this host to the guest, by the rules of `banger cp`. */
  async copyIn(hostPath: string, guestPath: string, options: CopyOptions = {}): Promise<CopyResult> {
    const { copyIn } = await import("./copy-in.ts");
    return await copyIn(this, { hostPath, guestPath, ...options });
  }

  /** Copies a file or tree of the guest to this host, by the rules of `banger cp`. The guest is not trusted. */
  async copyOut(guestPath: string, hostPath: string, options: CopyOptions = {}): Promise<CopyResult> {
    const { copyOut } = await import("./copy-out.ts");
    return await copyOut(this, { hostPath, guestPath, ...options });
  }
}
