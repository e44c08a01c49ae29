/** Fetches one blob into the store: gone on with where a connection was cut, verified, published. */
import { BangerError } from "../../model/errors.ts";
import type { BlobStore, PartialBlob } from "../oci/blob-store.ts";
import type { BlobFacts } from "../oci/descriptor.ts";
import type { RegistryClient } from "./client.ts";
import type { HttpAnswer } from "./http.ts";
import { TransientError, waitAfter } from "./transient.ts";

export interface BlobFetch {
  readonly store: BlobStore;
  readonly signal: AbortSignal;
  /** Hears how many bytes of the blob are there; may go back. */
  readonly onBytes: (doneBytes: number) => void;
}

/** However much each attempt brings: a registry that cuts each connection after a little is not followed for ever. */
const MAX_CUTS = 100;

/**
 * Returns the blob's path. The caller makes sure that nobody else fetches it. When it fails for good nothing is left; when it is
 * cancelled, or the registry cannot be reached any more, what was fetched waits for the next attempt. Errors:
 * `invalid_argument` (other bytes or another size), `resource_exhausted` (no space), and those of `RegistryClient.request`.
 */
export async function fetchBlob(client: RegistryClient, facts: BlobFacts, fetch: BlobFetch): Promise<string> {
  await using partial = await fetch.store.openPartial(facts);
  const { writer } = partial;
  const resumed = writer.sizeBytes > 0;
  try {
    await fetchRest(client, facts, { ...fetch, partial });
    return await publish(partial, resumed, async () => {
      await fetchRest(client, facts, { ...fetch, partial });
    });
  } catch (error) {
    if (!isWorthWaiting(error) && !fetch.signal.aborted) await writer.discard();
    throw error;
  }
}

/** It is the registry that cannot be reached, and not the blob that is wrong or the disk that is full. */
function isWorthWaiting(error: unknown): boolean {
  return error instanceof TransientError || BangerError.from(error).code === "unavailable";
}

/** What an earlier attempt left may be damaged, by a crash: then it is fetched whole, once. */
async function publish(
  partial: PartialBlob,
  resumed: boolean,
  refetch: () => Promise<void>,
): Promise<string> {
  try {
    return await partial.publish();
  } catch (error) {
    if (!resumed || BangerError.from(error).code !== "invalid_argument") throw error;
    await partial.writer.discard();
    await refetch();
    return await partial.publish();
  }
}

type Rest = BlobFetch & { readonly partial: PartialBlob };

async function fetchRest(client: RegistryClient, facts: BlobFacts, rest: Rest): Promise<void> {
  const { writer } = rest.partial;
  let fruitless = 0;
  for (let cuts = 0; writer.sizeBytes < facts.sizeBytes; ) {
    const before = writer.sizeBytes;
    try {
      await fetchOnce(client, facts, rest);
    } catch (error) {
      cuts += 1;
      fruitless = writer.sizeBytes > before ? 1 : fruitless + 1;
      if (cuts >= MAX_CUTS) throw error;
      await waitAfter(error, fruitless, { clock: client.clock, signal: rest.signal });
    }
  }
}

async function fetchOnce(
  client: RegistryClient,
  facts: BlobFacts,
  { partial, onBytes, signal }: Rest,
): Promise<void> {
  const { writer } = partial;
  const from = writer.sizeBytes;
  using answer = await client.request({
    path: `blobs/${facts.digest}`,
    what: `the blob ${facts.digest}`,
    ...(from === 0 ? {} : { headers: { range: `bytes=${from}-` } }),
    accepted: from === 0 ? [] : [206, 416],
    signal,
  });
  if (answer.status === 416 || (answer.status === 206 && !continues(answer, from, facts))) {
    await writer.discard();
    throw new TransientError("unavailable", `${answer.url.host} did not go on where ${facts.digest} was cut`);
  }
  // A registry that knows nothing of ranges starts over.
  if (answer.status === 200) await writer.discard();
  checkStatedSize(answer, facts, writer.sizeBytes);
  onBytes(writer.sizeBytes);
  for await (const chunk of answer.chunks()) {
    await writer.write(chunk);
    onBytes(writer.sizeBytes);
  }
  if (writer.sizeBytes < facts.sizeBytes) {
    throw new TransientError(
      "unavailable",
      `${answer.url.host} ended ${facts.digest} after ${writer.sizeBytes} of ${facts.sizeBytes} bytes`,
    );
  }
}

/** RFC 9110 14.4. */
function continues(answer: HttpAnswer, from: number, { sizeBytes }: BlobFacts): boolean {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/u.exec(answer.headers.get("content-range") ?? "");
  return match !== null && Number(match[1]) === from && (match[2] === "*" || Number(match[2]) === sizeBytes);
}

function checkStatedSize(answer: HttpAnswer, { digest, sizeBytes }: BlobFacts, haveBytes: number): void {
  const stated = answer.headers.get("content-length");
  if (stated === null || Number(stated) + haveBytes === sizeBytes) return;
  throw new BangerError(
    "invalid_argument",
    `${digest} should have ${sizeBytes} bytes, but ${answer.url.host} says ${Number(stated) + haveBytes}`,
  );
}
