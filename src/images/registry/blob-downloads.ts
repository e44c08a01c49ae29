/** The downloads under way into one blob store: a bounded number at once, and each blob by one only, whoever wants it. */
import { KeyedLock } from "../../lib/keyed-lock.ts";
import { SharedWork, type Waiter } from "../../lib/shared-work.ts";
import { Slots } from "../../lib/slots.ts";
import type { BlobStore } from "../oci/blob-store.ts";
import type { BlobFacts } from "../oci/descriptor.ts";
import { fetchBlob } from "./blob-fetch.ts";
import { type RegistryClient, tryEach } from "./client.ts";

/** Over all pulls. */
const PARALLEL_DOWNLOADS = 4;

export class BlobDownloads {
  readonly #store: BlobStore;
  readonly #shared = new SharedWork<string, number>();
  readonly #slots = new Slots(PARALLEL_DOWNLOADS);
  /** One that was given up may still be putting its file away when the next begins. */
  readonly #files = new KeyedLock();

  constructor(store: BlobStore) {
    this.#store = store;
  }

  /**
   * The path of the blob, fetched from the first source that has it unless it is there. The waiter hears how many bytes are
   * there. Errors: those of `fetchBlob`, from the last source.
   */
  async fetch(facts: BlobFacts, sources: readonly RegistryClient[], waiter: Waiter<number>): Promise<string> {
    const known = await this.#store.find(facts);
    if (known !== undefined) return known;
    let own = false;
    const share = async (): Promise<string> =>
      await this.#shared.run(facts.digest, waiter, async ({ signal, onStage }) => {
        own = true;
        return await this.#slots.use(signal, async () => {
          return await this.#files.hold(facts.digest, async () => {
            return await this.#download(facts, sources, { signal, onStage });
          });
        });
      });
    try {
      return await share();
    } catch (error) {
      if (own || waiter.signal?.aborted === true) throw error;
      // It was another pull's registry or login that failed; this one's may do better.
      return await share();
    }
  }

  async #download(
    facts: BlobFacts,
    sources: readonly RegistryClient[],
    { signal, onStage }: { readonly signal: AbortSignal; readonly onStage: (doneBytes: number) => void },
  ): Promise<string> {
    // It may have come while this one waited for its place.
    const known = await this.#store.find(facts);
    if (known !== undefined) return known;
    const { value } = await tryEach(sources, signal, async (client) => {
      return await fetchBlob(client, facts, { store: this.#store, signal, onBytes: onStage });
    });
    return value;
  }
}
