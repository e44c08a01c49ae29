/**
 * Checks a root file system's tar while it streams past. The archive is hostile: no name may leave the root,
 * and counts and sizes are bounded. Bytes are passed on unchanged, so that nothing of an entry (owners,
 * extended attributes) is lost.
 */
import { extract, type Header } from "tar-stream";
import { BangerError } from "../model/errors.ts";

export interface TarLimits {
  readonly entries: number;
  /** Of all files together, uncompressed. */
  readonly totalBytes: number;
}

export const TAR_LIMITS: TarLimits = { entries: 2_000_000, totalBytes: 64 * 1024 ** 3 };

const NAME_LIMIT_BYTES = 4096;
/** NAME_MAX of the kernel, and what squashfs can hold. */
const COMPONENT_LIMIT_BYTES = 255;
/** "The end of the archive is marked by two 512-byte records of zeros" (pax(1), ustar Interchange Format). */
const END_MARK_BYTES = 1024;

/**
 * Yields the chunks of `source`; throws as soon as an entry is refused, and at the end when the archive is
 * truncated, empty or not a root file system. Errors: `invalid_argument`, `unsupported` (an archive of
 * `docker save`, an unknown kind of entry).
 */
export async function* checkTar(
  source: AsyncIterable<Uint8Array>,
  limits: TarLimits = TAR_LIMITS,
): AsyncGenerator<Uint8Array> {
  const check = new EntryCheck(limits);
  const tar = extract();
  let failure: unknown;
  const closed = new Promise<void>((resolve) => {
    tar.once("error", (error: unknown) => {
      failure ??= error;
    });
    tar.once("close", resolve);
  });
  tar.on("entry", (header, entry, next) => {
    // An entry fails together with its archive, which has said so above; unheard it would end the process.
    entry.on("error", () => undefined);
    try {
      check.entry(header);
    } catch (error) {
      failure = error;
      tar.destroy(error as Error);
      return;
    }
    entry.once("end", next);
    entry.resume();
  });
  let tail: Uint8Array = new Uint8Array(0);
  try {
    for await (const chunk of source) {
      if (!tar.write(chunk)) {
        await Promise.race([new Promise<void>((resolve) => tar.once("drain", resolve)), closed]);
      }
      if (failure !== undefined) throw translate(failure);
      tail = Buffer.concat([tail, chunk.subarray(-END_MARK_BYTES)]).subarray(-END_MARK_BYTES);
      yield chunk;
    }
    tar.end(null);
    await closed;
    if (failure !== undefined) throw translate(failure);
    check.end();
    if (tail.byteLength < END_MARK_BYTES || tail.some((byte) => byte !== 0)) {
      throw new BangerError("invalid_argument", "the archive is truncated: it has no end mark");
    }
  } finally {
    tar.destroy(null);
  }
}

class EntryCheck {
  private readonly limits: TarLimits;
  private entries = 0;
  private totalBytes = 0;
  private readonly top = new Set<string>();

  constructor(limits: TarLimits) {
    this.limits = limits;
  }

  entry(header: Header): void {
    const { name, size } = header;
    // tar-stream gives null for a type flag that it does not know; its types do not say so.
    const type: string | null = header.type;
    if (type === null) {
      throw new BangerError("unsupported", `the archive entry "${shown(name)}" is of an unknown kind`, {
        cure: "pack it with GNU tar or bsdtar, without sparse files",
      });
    }
    this.entries += 1;
    this.totalBytes += Math.max(size, sparseSize(header));
    if (this.entries > this.limits.entries) {
      throw new BangerError("invalid_argument", `the archive has more than ${this.limits.entries} entries`);
    }
    if (this.totalBytes > this.limits.totalBytes) {
      throw new BangerError(
        "invalid_argument",
        `the archive holds more than ${this.limits.totalBytes} bytes`,
      );
    }
    const path = checkPath(name, name);
    // A symbolic link may point anywhere: it is resolved in the guest. A hard link is resolved while unpacking.
    if (type === "link") checkPath(header.linkname ?? "", name);
    const first = path[0];
    if (first !== undefined && this.top.size < 100) this.top.add(first);
  }

  end(): void {
    if (this.top.size === 0) throw new BangerError("invalid_argument", "the archive is empty");
    const isRootfs = ["bin", "etc", "usr", "sbin", "lib"].some((name) => this.top.has(name));
    if (!isRootfs && (this.top.has("manifest.json") || this.top.has("oci-layout"))) {
      throw new BangerError("unsupported", "archives of docker save and OCI layouts are not supported yet", {
        cure: "import a root file system: docker export CONTAINER > rootfs.tar",
      });
    }
  }
}

/** The components of a path that stays inside. */
function checkPath(path: string, entry: string): string[] {
  const refuse = (why: string): BangerError =>
    new BangerError("invalid_argument", `the archive entry "${shown(entry)}" is refused: ${why}`, {
      cure: "pack it with relative names: tar -C rootfs -cf rootfs.tar .",
    });
  if (path === "") throw refuse("a name is empty");
  if (path.startsWith("/")) throw refuse("a name is absolute");
  if (path.includes("\0") || Buffer.byteLength(path) > NAME_LIMIT_BYTES)
    throw refuse("a name is too long or malformed");
  const components = path.split("/").filter((part) => part !== "" && part !== ".");
  if (components.includes("..")) throw refuse('a name holds ".."');
  if (components.some((part) => Buffer.byteLength(part) > COMPONENT_LIMIT_BYTES))
    throw refuse("a name is too long");
  return components;
}

/** GNU tar notes the unpacked size of a sparse file in a PAX record. */
function sparseSize(header: Header): number {
  const pax = (header.pax ?? {}) as Readonly<Record<string, string>>;
  const size = Number(pax["GNU.sparse.realsize"] ?? pax["GNU.sparse.size"] ?? 0);
  return Number.isSafeInteger(size) && size >= 0 ? size : Number.POSITIVE_INFINITY;
}

/** A hostile name, fit for a terminal. */
function shown(name: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return name.slice(0, 100).replaceAll(/[\u0000-\u001f\u007f-\u009f]/gu, "?");
}

function translate(failure: unknown): unknown {
  if (failure instanceof BangerError) return failure;
  const why = failure instanceof Error ? failure.message : String(failure);
  return new BangerError("invalid_argument", `the archive is damaged or not a tar: ${why}`, {
    cause: failure,
  });
}
