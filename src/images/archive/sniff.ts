/** Tells an archive of images from a root file system by the first name in it. */
import { ImageBudget } from "../tar/limits.ts";
import { TarReader } from "../tar/reader.ts";

/** `docker save` and OCI layouts have these at their top, and directories named by digests. */
const IMAGE_NAME =
  /^(?:blobs|oci-layout|index\.json|manifest\.json|repositories|[0-9a-f]{64}(?:\.json|\.tar)?)$/u;

export interface Sniffed {
  readonly kind: "image" | "rootfs" | "empty";
  /** The whole of the source, from its start; to be read or returned. */
  readonly tar: AsyncGenerator<Buffer>;
}

/** Reads as little as it needs. The chunks of the source must stay valid. Errors: those of `TarReader` and of the source. */
export async function sniffTar(source: AsyncGenerator<Buffer>): Promise<Sniffed> {
  const held: Buffer[] = [];
  const found: { kind: Sniffed["kind"] } = { kind: "empty" };
  const reader = new TarReader(
    {
      entry: ({ path }) => {
        if (found.kind === "empty" && path !== "")
          found.kind = IMAGE_NAME.test(path.split("/")[0] ?? "") ? "image" : "rootfs";
        return false;
      },
      data: () => undefined,
      zeros: () => undefined,
      end: () => undefined,
    },
    new ImageBudget(),
  );
  try {
    for (let next = await source.next(); ; next = await source.next()) {
      if (next.done === true) {
        reader.end({ marked: true });
        break;
      }
      held.push(next.value);
      reader.push(next.value);
      if (found.kind !== "empty") break;
    }
  } catch (error) {
    await source.return(undefined);
    throw error;
  }
  return { ...found, tar: replay(held, source) };
}

async function* replay(held: Buffer[], source: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  try {
    for (let chunk = held.shift(); chunk !== undefined; chunk = held.shift()) yield chunk;
    yield* source;
  } finally {
    await source.return(undefined);
  }
}
