/** Archives of one image for `image import`: layers that a test has made, with any configuration. */
import { link, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "../../src/images/oci/digest.ts";
import { hashFile } from "../../src/lib/hash-file.ts";
import { runProgram } from "../../src/lib/run-program.ts";

/** As an image's configuration spells it: `Cmd`, `Env`, … */
export type WrittenConfig = Readonly<Record<string, unknown>>;

/** Writes an OCI layout as a tar into `dir`, which is the caller's; `layers` are uncompressed tars on the same file system. Returns its path. */
export async function writeOciArchive(
  dir: string,
  { layers, config }: { readonly layers: readonly string[]; readonly config: WrittenConfig },
): Promise<string> {
  const layout = join(dir, "layout");
  const blobs = join(layout, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  const put = async (document: object, mediaType: string): Promise<object> => {
    const bytes = JSON.stringify(document);
    const digest = digestOf(bytes);
    await writeFile(join(blobs, digest.slice(7)), bytes);
    return { mediaType, digest, size: Buffer.byteLength(bytes) };
  };
  const descriptors: object[] = [];
  const diffIds: string[] = [];
  for (const path of layers) {
    const hex = await hashFile(path);
    await link(path, join(blobs, hex));
    diffIds.push(`sha256:${hex}`);
    const mediaType = "application/vnd.oci.image.layer.v1.tar";
    descriptors.push({ mediaType, digest: `sha256:${hex}`, size: Bun.file(path).size });
  }
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const image = { architecture, os: "linux", config, rootfs: { type: "layers", diff_ids: diffIds } };
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: await put(image, "application/vnd.oci.image.config.v1+json"),
    layers: descriptors,
  };
  const manifests = [await put(manifest, mediaType)];
  await writeFile(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  const archive = join(dir, "image.tar");
  await runProgram(["tar", "-C", layout, "-cf", archive, "."]);
  return archive;
}
