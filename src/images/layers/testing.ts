/** For the tests of this room: layers of any shape, and two ways to unpack them, ours and that of `umoci unpack` by root. */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { findProgram, runProgram } from "../../lib/run-program.ts";
import { digestOf } from "../oci/digest.ts";
import type { TarEntry } from "../tar/entry.ts";
import { END_MARK, paddingOf, writeHeader } from "../tar/writer.ts";
import { type MergeOptions, mergeLayers } from "./merge.ts";

/** An entry with its contents; names may be anything. */
export type LayerEntry = Partial<Omit<TarEntry, "xattrs">> & {
  readonly path: string;
  readonly content?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
};

const MTIME = 1_600_000_000;

/** A tar of the entries, of kind `file` unless they say otherwise. */
export function layerTar(entries: readonly LayerEntry[]): Buffer {
  const parts = entries.map(({ content = "", xattrs = {}, ...rest }) => {
    const body = Buffer.from(content, "latin1");
    const kind = rest.kind ?? "file";
    const header = writeHeader({
      kind,
      linkPath: "",
      mode: kind === "directory" ? 0o755 : 0o644,
      uid: 0,
      gid: 0,
      mtimeSeconds: MTIME,
      sizeBytes: body.length,
      major: 0,
      minor: 0,
      xattrs: Object.entries(xattrs).map(([name, value]) => ({ name, value })),
      ...rest,
    });
    return Buffer.concat([header, body, Buffer.alloc(paddingOf(body.length))]);
  });
  return Buffer.concat([...parts, END_MARK]);
}

/** What the merge makes of layers, unpacked into `dir`/ours. Errors: those of `mergeLayers`. */
export async function unpackOurs(
  dir: string,
  layers: readonly Buffer[],
  options: MergeOptions = {},
): Promise<string> {
  const files = layers.map(async (layer, index) => {
    const path = join(dir, `layer-${index}`);
    await writeFile(path, index % 2 === 0 ? layer : gzipSync(layer, { level: 1 }));
    return { path, name: `layer ${index}`, diffId: digestOf(layer) };
  });
  const image = join(dir, "ours.squashfs");
  await mergeLayers(await Promise.all(files), image, options);
  const target = join(dir, "ours");
  await runProgram(["unsquashfs", "-no-progress", "-quiet", "-d", target, image]);
  return target;
}

/** Why umoci cannot be compared with here; empty when it can. */
export function umociProblem(): string {
  const missing = ["umoci", "getfattr", "unsquashfs"].filter((name) => findProgram(name) === undefined);
  if (missing.length > 0) return `not installed: ${missing.join(", ")}`;
  return process.getuid?.() === 0 ? "" : "needs root";
}

/** What umoci makes of them, in `dir`/bundle/rootfs. Needs root. Errors: `internal` when it refuses. */
export async function unpackWithUmoci(dir: string, layers: readonly Buffer[]): Promise<string> {
  await writeLayout(join(dir, "layout"), layers);
  await runProgram(["umoci", "unpack", "--image", `${join(dir, "layout")}:test`, join(dir, "bundle")]);
  return join(dir, "bundle", "rootfs");
}

/** An OCI layout with one image, tagged `test`. */
export async function writeLayout(layout: string, layers: readonly Buffer[]): Promise<void> {
  await mkdir(join(layout, "blobs", "sha256"), { recursive: true });
  const put = async (bytes: Uint8Array | string, mediaType: string): Promise<object> => {
    const digest = digestOf(bytes);
    await writeFile(join(layout, "blobs", "sha256", digest.slice(7)), bytes);
    return { mediaType, digest, size: Buffer.byteLength(bytes) };
  };
  const config = {
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: layers.map((layer) => digestOf(layer)) },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: await put(JSON.stringify(config), "application/vnd.oci.image.config.v1+json"),
    layers: await Promise.all(
      layers.map((layer) =>
        put(gzipSync(layer, { level: 1 }), "application/vnd.oci.image.layer.v1.tar+gzip"),
      ),
    ),
  };
  const descriptor = await put(JSON.stringify(manifest), manifest.mediaType);
  const annotations = { "org.opencontainers.image.ref.name": "test" };
  await writeFile(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(
    join(layout, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...descriptor, annotations }] }),
  );
}

/**
 * Everything below a directory, one line a name: kind, mode, owner, time, size, hash of the contents, device, target, extended
 * attributes, and the first name of the same file.
 */
export async function listTree(root: string): Promise<string[]> {
  const xattrs = await readXattrs(root);
  const firstNames = new Map<number, string>();
  const lines: string[] = [];
  const visit = (name: string): void => {
    const path = Buffer.from(`${root}/${name}`, "latin1");
    const facts = lstatSync(path);
    if (name !== "") {
      const first = facts.isDirectory() ? name : (firstNames.get(facts.ino) ?? name);
      firstNames.set(facts.ino, first);
      const more = [
        contentsOf(path, facts),
        xattrs.get(name) ?? "",
        first === name ? "" : `same as ${first}`,
      ];
      const time = `time=${Math.floor(facts.mtimeMs / 1000)}`;
      lines.push(
        [`${name}: ${facts.mode.toString(8)} ${facts.uid}:${facts.gid} ${time}`, ...more].join(" ").trim(),
      );
    }
    if (!facts.isDirectory()) return;
    for (const child of readdirSync(path, { encoding: "buffer" })
      .map((bytes) => bytes.toString("latin1"))
      .sort()) {
      visit(name === "" ? child : `${name}/${child}`);
    }
  };
  visit("");
  return lines;
}

/**
 * Two lists without the times of directories that the first says were made after `fromSeconds`: an unpacker gives a
 * directory that no entry describes, and the one above it, the time of the unpacking.
 */
export function withoutUnpackingTimes(
  first: readonly string[],
  second: readonly string[],
  fromSeconds: number,
): { readonly first: string[]; readonly second: string[] } {
  const fresh = new Set(
    first
      .filter((line) => Number(/ time=(\d+)/u.exec(line)?.[1] ?? 0) >= fromSeconds)
      .map((line) => line.split(": ")[0]),
  );
  const strip = (lines: readonly string[]): string[] =>
    lines.map((line) =>
      fresh.has(line.split(": ")[0]) && / 4\d{4} /u.test(line) ? line.replace(/ time=\d+/u, "") : line,
    );
  return { first: strip(first), second: strip(second) };
}

function contentsOf(path: Buffer, facts: Stats): string {
  if (facts.isSymbolicLink()) return `-> ${readlinkSync(path)}`;
  if (facts.isFile())
    return `${facts.size} ${createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 12)}`;
  if (facts.isCharacterDevice() || facts.isBlockDevice()) return `device ${facts.rdev}`;
  return "";
}

/** By name, as getfattr(1) shows them; reads the links themselves. */
async function readXattrs(root: string): Promise<Map<string, string>> {
  const { stdout } = await runProgram(["getfattr", "-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "."], {
    cwd: root,
  });
  const found = new Map<string, string>();
  for (const part of Buffer.from(stdout).toString().split("\n\n")) {
    const [head = "", ...values] = part.trim().split("\n");
    found.set(head.replace(/^# file: /u, ""), values.sort().join(" "));
  }
  return found;
}
