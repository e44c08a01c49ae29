/** The names that live now, for completion: quickly or not at all, and never of a daemon that would have to be started for it. */
import type { CallOptions } from "../sdk/calls.ts";
import type { Client } from "../sdk/client.ts";
import { findDaemon } from "./start-daemon.ts";

/** How long somebody who pressed a key waits for names. */
const PATIENCE_MS = 1_000;

export type Noun =
  | "vm"
  | "image"
  | "catalog"
  | "image or catalog"
  | "kernel"
  | "snapshot"
  | "volume"
  | "template";

/** The names of a kind. Never rejects: none, where nobody answers or too late. */
export type LiveNames = (noun: Noun) => Promise<readonly string[]>;

/** Asks the daemon that runs. */
export async function liveNames(noun: Noun): Promise<readonly string[]> {
  const late = AbortSignal.timeout(PATIENCE_MS);
  const none = new Promise<readonly string[]>((resolve) => {
    late.addEventListener("abort", () => resolve([]), { once: true });
  });
  // Whatever is wrong, the command itself will say it better than a completion could.
  return await Promise.race([none, ask(noun, late).catch(() => [])]);
}

async function ask(noun: Noun, signal: AbortSignal): Promise<readonly string[]> {
  const client = await findDaemon();
  return client === undefined ? [] : await namesOf(client, noun, { signal });
}

/** The names of a kind that a daemon knows. Errors: the daemon's. */
export async function namesOf(client: Client, noun: Noun, options: CallOptions): Promise<readonly string[]> {
  const named = (things: readonly { readonly name: string }[]): string[] => things.map(({ name }) => name);
  switch (noun) {
    case "vm":
      return named(await client.listVms(options));
    case "image":
      return named(await client.listImages(options));
    case "catalog":
      return named(await client.catalog(options));
    case "image or catalog":
      return [...named(await client.listImages(options)), ...named(await client.catalog(options))];
    case "kernel":
      return named(await client.listKernels(options));
    case "snapshot":
      return named(await client.listSnapshots(options));
    case "volume":
      return named(await client.listVolumes(options));
    case "template":
      return (await client.listTemplates(options)).map(({ id }) => id);
  }
}
