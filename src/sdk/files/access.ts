/** What a copy needs of a guest, and what all copies share. */
import { BangerError } from "../../model/errors.ts";
import type { GuestFileFacts, GuestStreamRequest } from "../../model/guest-stream.ts";
import type { GuestStream, GuestStreamOptions } from "../guest-stream.ts";
import type { UnpackLimits } from "./unpack.ts";

export interface LookOptions {
  /** What a link leads to, rather than the link. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** The part of `GuestFiles` that copies use. */
export interface GuestAccess {
  open(request: GuestStreamRequest, options?: GuestStreamOptions): GuestStream;
  stat(path: string, options?: LookOptions): Promise<GuestFileFacts>;
  statIfThere(path: string, options?: LookOptions): Promise<GuestFileFacts | undefined>;
}

export interface CopyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Links are followed: what they point to is copied. Default: links stay links. */
  readonly follow?: boolean | undefined;
  /** Owners, set-user-ID bits and, between guests, devices and extended attributes are kept. */
  readonly archive?: boolean | undefined;
  /** Hears of content as it moves, in bytes. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Hears once how much there will be, when that is known. */
  readonly onTotal?: ((bytes: number) => void) | undefined;
  /** Hears, where another attempt would go on with what has come of this one, how many bytes an earlier one has left. */
  readonly onResumable?: ((leftBytes: number) => void) | undefined;
  /** What a guest may send. Default: 5,000,000 files and 1 TiB. */
  readonly limits?: UnpackLimits | undefined;
}

export interface CopyJob extends CopyOptions {
  readonly hostPath: string;
  readonly guestPath: string;
}

export interface CopyResult {
  /** Files, directories and links. */
  readonly entries: number;
  /** Of content, holes not counted. */
  readonly bytes: number;
  /** What was left out, for people. */
  readonly notes: readonly string[];
}

/** Sends all of it and waits for the answer. Returns the bytes that the guest has written. Errors: those of the stream and of `content`. */
export async function send(
  stream: GuestStream,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  onProgress?: (bytes: number) => void,
): Promise<number> {
  for await (const piece of content instanceof Uint8Array ? [content] : content) {
    await stream.write(piece);
    onProgress?.(piece.length);
    // The guest has given its reason; the rest is not wanted.
    if (stream.over) break;
  }
  await stream.end();
  return count(await stream.result, "bytes");
}

/** A number of an answer. Errors: `guest_error`. */
export function count(answer: Readonly<Record<string, unknown>>, field: string): number {
  const value = answer[field];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new BangerError("guest_error", `the guest agent's answer lacks ${field}`);
}
