/** The guest's copy of a tree, as the host asks about it and changes it. Everything that comes from it is somebody else's. */
import type { AgentStream, StreamHandlers } from "../guest/stream.ts";
import { BangerError } from "../model/errors.ts";
import type { GuestStreamRequest } from "../model/guest-stream.ts";
import type { GuestTreeRequest } from "../model/guest-tree.ts";
import { parseScan, type ScannedFile } from "./scan.ts";

/** How a running VM is reached; guest I/O never takes its lock. */
export interface GuestDoor {
  openStream(
    vm: string,
    request: GuestStreamRequest | GuestTreeRequest,
    handlers: StreamHandlers,
  ): Promise<AgentStream>;
}

/** Names of one request, as bytes before base64. */
const NAMES_BYTES = 48 * 1024;

/** The trees of one VM. Errors: those of `vms.openStream`, the guest's own, which name the path, `cancelled`. */
export class GuestTree {
  readonly #door: GuestDoor;
  readonly #vm: string;
  readonly #signal: AbortSignal;

  constructor(door: GuestDoor, vm: string, signal: AbortSignal) {
    this.#door = door;
    this.#vm = vm;
    this.#signal = signal;
  }

  /** Unpacks an archive below `path`, a directory. Returns the bytes of the archive. */
  async unpack(path: string, archive: AsyncIterable<Uint8Array>): Promise<number> {
    return await this.#send({ type: "tar-in", path }, archive);
  }

  /** Makes a file anew of pieces; `known` is what it was found to be. Returns the bytes sent. Errors: `failed_precondition` when it has changed. */
  async splice(path: string, known: ScannedFile, pieces: Uint8Array): Promise<number> {
    const changedSeconds = Number(known.ctimeNs / BILLION);
    const changedNanoseconds = Number(known.ctimeNs % BILLION);
    const maxSize = MAX_SPLICED;
    const request = {
      type: "splice",
      path,
      size: known.size,
      changedSeconds,
      changedNanoseconds,
      maxSize,
    } as const;
    return await this.#send(request, single(pieces));
  }

  /** Sends all of it and waits for the answer; returns how much it was. */
  async #send(
    request: GuestStreamRequest | GuestTreeRequest,
    content: AsyncIterable<Uint8Array>,
  ): Promise<number> {
    let wake = Promise.withResolvers<void>();
    const onCredit = (): void => {
      wake.resolve();
      wake = Promise.withResolvers();
    };
    await using stream = await this.#open(request, { onCredit });
    const over = stream.result.then(nothing, nothing);
    let sent = 0;
    for await (const piece of content) {
      for (let at = 0; at < piece.length && !stream.over; ) {
        const part = piece.subarray(at, at + stream.sendCredit);
        if (part.length === 0) await Promise.race([wake.promise, over]);
        else stream.sendData(part);
        at += part.length;
      }
      // The guest has given its reason; the rest is not wanted.
      if (stream.over) break;
      sent += piece.length;
    }
    stream.sendEnd();
    await stream.result;
    return sent;
  }

  /** Everything below `path`, no order promised. Errors: `not_found`. */
  async scan(path: string): Promise<ScannedFile[]> {
    return await parseScan(this.#receive({ type: "scan", path }));
  }

  /** Files below `path` as an archive; those that are gone are left out. */
  async *pick(path: string, names: readonly Buffer[]): AsyncGenerator<AsyncIterable<Uint8Array>> {
    for (const batch of batches(names)) yield this.#receive({ type: "pick", path, names: batch });
  }

  /** Removes files and empty directories below `path`, in this order. Returns how many went, and the guest's time. */
  async remove(path: string, names: readonly Buffer[]): Promise<{ removed: number; timeNs: bigint }> {
    let removed = 0;
    let timeNs = 0n;
    for (const batch of batches(names)) {
      const answer = await this.#ask({ type: "remove", path, names: batch });
      removed += count(answer, "removed");
      timeNs = timeOf(answer);
    }
    return { removed, timeNs };
  }

  /** Gives a path a name that nothing has. Returns the guest's time, nanoseconds since 1970. Errors: `failed_precondition`. */
  async rename(from: string, to: string): Promise<bigint> {
    const answer = await this.#ask({ type: "rename", from, to });
    return timeOf(answer);
  }

  /** The content of one small file. Errors: `not_found`; `resource_exhausted` above `maxBytes`. */
  async read(path: string, maxBytes: number): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of this.#receive({ type: "read", path })) {
      size += piece.length;
      if (size > maxBytes)
        throw new BangerError("resource_exhausted", `${path} in the guest has more than ${maxBytes} bytes`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  /** Whether something has this path. */
  async isThere(path: string): Promise<boolean> {
    try {
      await this.#ask({ type: "stat", path });
      return true;
    } catch (error) {
      if (error instanceof BangerError && error.details["guestCode"] === "not_found") return false;
      throw error;
    }
  }

  async #ask(request: GuestStreamRequest | GuestTreeRequest): Promise<Readonly<Record<string, unknown>>> {
    await using stream = await this.#open(request, {});
    return await stream.result;
  }

  /** What the guest sends, at the pace at which it is taken. */
  async *#receive(request: GuestStreamRequest | GuestTreeRequest): AsyncGenerator<Uint8Array> {
    const queue: Uint8Array[] = [];
    let wake = Promise.withResolvers<void>();
    const state = { ended: false };
    const news = (): void => {
      wake.resolve();
      wake = Promise.withResolvers();
    };
    await using stream = await this.#open(request, {
      onData: (channel, bytes) => {
        // Bytes are the connection's to use again.
        if (channel === 1) queue.push(Buffer.from(bytes));
        news();
      },
      onEnd: () => {
        state.ended = true;
        news();
      },
    });
    const over = stream.result.then(nothing, nothing);
    while (!state.ended || queue.length > 0) {
      const piece = queue.shift();
      if (piece !== undefined) {
        yield piece;
        stream.returnCredit(1, piece.length);
      } else if (stream.over) break;
      else await Promise.race([wake.promise, over]);
    }
    await stream.result;
  }

  async #open(
    request: GuestStreamRequest | GuestTreeRequest,
    handlers: StreamHandlers,
  ): Promise<AgentStream & AsyncDisposable> {
    this.#signal.throwIfAborted();
    const stream = await this.#door.openStream(this.#vm, request, handlers);
    const abort = (): void => stream.reset();
    this.#signal.addEventListener("abort", abort, { once: true });
    if (this.#signal.aborted) abort();
    return Object.assign(stream, {
      [Symbol.asyncDispose]: async () => {
        this.#signal.removeEventListener("abort", abort);
        stream.reset();
      },
    });
  }
}

/** Bytes of a file that is made anew. */
const MAX_SPLICED = 2 ** 30;
const BILLION = 1_000_000_000n;

function timeOf(answer: Readonly<Record<string, unknown>>): bigint {
  return BigInt(count(answer, "seconds")) * BILLION + BigInt(count(answer, "nanoseconds"));
}

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Lists of names as requests take them. */
function* batches(names: readonly Buffer[]): Generator<string> {
  let batch: Buffer[] = [];
  let size = 0;
  for (const name of names) {
    if (size + name.length + 1 > NAMES_BYTES && size > 0) {
      yield Buffer.concat(batch).toString("base64");
      [batch, size] = [[], 0];
    }
    batch.push(name, NUL);
    size += name.length + 1;
  }
  if (size > 0) yield Buffer.concat(batch).toString("base64");
}

function count(answer: Readonly<Record<string, unknown>>, field: string): number {
  const value = answer[field];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new BangerError("guest_error", `the guest agent's answer lacks ${field}`);
}

const NUL = Buffer.alloc(1);

function nothing(): void {}
