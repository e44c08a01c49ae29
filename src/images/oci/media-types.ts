/**
 * Media types of images, OCI's and Docker's: https://github.com/opencontainers/image-spec/blob/v1.1.0/media-types.md and
 * https://distribution.github.io/distribution/spec/manifest-v2-2/.
 */
import { BangerError } from "../../model/errors.ts";
import { quote } from "../../model/names.ts";

export const INDEX_TYPES: readonly string[] = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];

export const MANIFEST_TYPES: readonly string[] = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];

const SCHEMA_1_TYPES: readonly string[] = [
  "application/vnd.docker.distribution.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

const CONFIG_TYPES: readonly string[] = [
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
];

const LAYER_TYPES: readonly string[] = [
  "application/vnd.oci.image.layer.v1.tar",
  "application/vnd.oci.image.layer.v1.tar+gzip",
  "application/vnd.oci.image.layer.v1.tar+zstd",
  "application/vnd.docker.image.rootfs.diff.tar",
  "application/vnd.docker.image.rootfs.diff.tar.gzip",
  "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

/** Layers that a registry does not hold: image-spec layer.md "Non-Distributable Layers", Docker's "foreign" ones. */
const FOREIGN_TYPE =
  /^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.v1|docker\.image\.rootfs\.foreign\.diff)\.tar/u;

/** What a document that claims this type is; undefined when the type says nothing about images. */
export function documentKind(mediaType: string): "index" | "manifest" | "schema1" | undefined {
  if (INDEX_TYPES.includes(mediaType)) return "index";
  if (MANIFEST_TYPES.includes(mediaType)) return "manifest";
  return SCHEMA_1_TYPES.includes(mediaType) ? "schema1" : undefined;
}

/** Checks the type of a manifest's configuration. Errors: `unsupported` (no image: a Helm chart, a signature, …). */
export function validateConfigType(mediaType: string): void {
  if (CONFIG_TYPES.includes(mediaType)) return;
  throw new BangerError(
    "unsupported",
    `this is not an image that can run: its configuration is ${quote(mediaType)}`,
    { cure: "name an image rather than another kind of artifact", details: { mediaType } },
  );
}

/** Checks the type of a layer. Errors: `unsupported`, with the reason. */
export function validateLayerType(mediaType: string): void {
  if (LAYER_TYPES.includes(mediaType)) return;
  if (FOREIGN_TYPE.test(mediaType)) {
    throw new BangerError(
      "unsupported",
      `the image has a foreign layer (${mediaType}): its contents lie outside of the registry, under terms of their own`,
      {
        cure: "ask for a build of the image that holds all of its layers",
        details: { mediaType },
      },
    );
  }
  if (mediaType.endsWith("+encrypted")) {
    throw new BangerError("unsupported", `the image has an encrypted layer (${quote(mediaType)})`, {
      details: { mediaType },
    });
  }
  throw new BangerError("unsupported", `the image has a layer of unknown type ${quote(mediaType)}`, {
    cure: `layers may be ${LAYER_TYPES.join(", ")}`,
    details: { mediaType },
  });
}
