/** A tar as a sequence of entries whose contents can be read or left, one after the other. */
import { damagedTar, type TarEntry } from "../tar/entry.ts";
import type { ImageBudget } from "../tar/limits.ts";
import { TarReader } from "../tar/reader.ts";

export interface ArchiveEntry {
  readonly entry: TarEntry;
  /** To be read, if at all, before the next entry is asked for; the pieces stay valid. */
  readonly contents: AsyncIterable<Uint8Array>;
}

type Event =
  | { readonly kind: "entry"; readonly entry: TarEntry }
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "end" };

/** The archive must have its end mark. Errors: those of `TarReader`; `invalid_argument` for sparse files. */
export async function* readEntries(
  source: AsyncIterable<Buffer>,
  budget: ImageBudget,
): AsyncGenerator<ArchiveEntry> {
  const events = readEvents(source, budget);
  try {
    for (let next = await events.next(); next.done !== true; next = await events.next()) {
      if (next.value.kind !== "entry") continue; // What nobody wanted to read.
      yield { entry: next.value.entry, contents: readContents(events) };
    }
  } finally {
    await events.return(undefined);
  }
}

async function* readContents(events: AsyncGenerator<Event>): AsyncGenerator<Uint8Array> {
  for (let next = await events.next(); next.done !== true; next = await events.next()) {
    if (next.value.kind !== "data") return;
    yield next.value.bytes;
  }
}

async function* readEvents(source: AsyncIterable<Buffer>, budget: ImageBudget): AsyncGenerator<Event> {
  let ready: Event[] = [];
  const reader = new TarReader(
    {
      entry: (entry) => {
        if (entry.extents !== undefined)
          throw damagedTar("it has sparse files, which an archive of images never has");
        ready.push({ kind: "entry", entry });
        return true;
      },
      data: (bytes) => void ready.push({ kind: "data", bytes }),
      zeros: () => undefined,
      end: () => void ready.push({ kind: "end" }),
    },
    budget,
  );
  for await (const chunk of source) {
    reader.push(chunk);
    const events = ready;
    ready = [];
    yield* events;
  }
  reader.end({ marked: true });
}
