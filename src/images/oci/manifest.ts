/** Manifests and indexes of OCI and of Docker (schema 2), parsed into one shape. */
import { z } from "zod";
import { BangerError } from "../../model/errors.ts";
import { type Descriptor, MAX_BLOB_BYTES, wireDescriptor } from "./descriptor.ts";
import { checkDocument, MAX_DOCUMENT_BYTES, parseDocument } from "./document.ts";
import { documentKind, validateConfigType, validateLayerType } from "./media-types.ts";
import type { Platform } from "./platform.ts";

/** Four times what Docker allows. */
export const MAX_LAYERS = 512;
const MAX_INDEX_ENTRIES = 1024;

export interface ImageManifest {
  readonly kind: "manifest";
  readonly config: Descriptor;
  /** From the lowest up. Never foreign; each of a type that layers have. */
  readonly layers: readonly Descriptor[];
}

export interface IndexEntry extends Descriptor {
  readonly platform: Platform | undefined;
}

export interface ImageIndex {
  readonly kind: "index";
  readonly manifests: readonly IndexEntry[];
}

/**
 * Parses a manifest or an index. `mediaType` is what came with it (a Content-Type, a descriptor); the document's own
 * must be the same where it has one. Errors: `invalid_argument` (damaged, over a limit, ambiguous), `unsupported`
 * (schema 1, foreign or unknown layers, no image).
 */
export function parseManifest(bytes: Uint8Array, mediaType?: string): ImageManifest | ImageIndex {
  const document = parseDocument(bytes, "the image's manifest");
  const kind = kindOf(document, mediaType);
  return kind === "index" ? readIndex(document) : readManifest(document);
}

function kindOf(
  document: Readonly<Record<string, unknown>>,
  mediaType: string | undefined,
): "index" | "manifest" {
  const own = typeof document["mediaType"] === "string" ? document["mediaType"] : undefined;
  const given = mediaType === undefined ? undefined : documentKind(mediaType);
  if (document["schemaVersion"] === 1 || given === "schema1") {
    throw new BangerError(
      "unsupported",
      "the image has a manifest of Docker's schema 1, which says nothing sure about its contents",
      { cure: "ask for the image to be pushed again with a current tool, or copy it with: skopeo copy" },
    );
  }
  // Both lists in one document, or two types for it, have been used to show one image to a check and another to a
  // client (CVE-2021-41190).
  const lists = ["layers", "manifests"].filter((name) => Object.hasOwn(document, name));
  const kinds = new Set([
    ...lists.map((name) => (name === "layers" ? "manifest" : "index")),
    ...(own === undefined ? [] : [documentKind(own)]),
    ...(given === undefined ? [] : [given]),
  ]);
  const [kind] = kinds;
  if (kinds.size === 1 && (kind === "index" || kind === "manifest")) return kind;
  if (kinds.size > 1) {
    throw new BangerError(
      "invalid_argument",
      "the image's manifest is ambiguous: its type and its contents differ",
      {
        details: { mediaType, own },
      },
    );
  }
  throw new BangerError("invalid_argument", "the image's manifest is neither a manifest nor an index", {
    details: { mediaType, own },
  });
}

const wireManifest = z.object({
  schemaVersion: z.literal(2),
  config: wireDescriptor,
  layers: z.array(wireDescriptor).max(MAX_LAYERS, `more than ${MAX_LAYERS} layers`),
});

function readManifest(document: unknown): ImageManifest {
  const { config, layers } = checkDocument(wireManifest, document, "the image's manifest");
  validateConfigType(config.mediaType);
  if (config.sizeBytes > MAX_DOCUMENT_BYTES) {
    throw new BangerError(
      "invalid_argument",
      `the image's configuration has ${config.sizeBytes} bytes, more than ${MAX_DOCUMENT_BYTES}`,
    );
  }
  for (const layer of layers) validateLayerType(layer.mediaType);
  const totalBytes = layers.reduce((sum, layer) => sum + layer.sizeBytes, 0);
  if (totalBytes > MAX_BLOB_BYTES) {
    throw new BangerError(
      "invalid_argument",
      `the image's layers have ${totalBytes} bytes together, more than ${MAX_BLOB_BYTES}`,
    );
  }
  return { kind: "manifest", config: withoutUrls(config), layers: layers.map(withoutUrls) };
}

const word = z.string().max(64);

const wireIndex = z.object({
  schemaVersion: z.literal(2),
  manifests: z
    .array(
      z.intersection(
        wireDescriptor,
        z.object({
          platform: z
            .object({ os: word, architecture: word, variant: word.nullish() })
            .nullish()
            .transform((platform) =>
              platform === null || platform === undefined
                ? undefined
                : {
                    os: platform.os,
                    architecture: platform.architecture,
                    variant: platform.variant ?? undefined,
                  },
            ),
        }),
      ),
    )
    .max(MAX_INDEX_ENTRIES, `more than ${MAX_INDEX_ENTRIES} entries`),
});

function readIndex(document: unknown): ImageIndex {
  const { manifests } = checkDocument(wireIndex, document, "the image's index");
  return {
    kind: "index",
    manifests: manifests.map((entry) => ({ ...withoutUrls(entry), platform: entry.platform })),
  };
}

function withoutUrls({ mediaType, digest, sizeBytes }: Descriptor): Descriptor {
  return { mediaType, digest, sizeBytes };
}
