/** Archives of images: what skopeo and docker write, in and out again with the same digests. */
import { describe, expect, test } from "bun:test";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { findProgram, runProgram } from "../../lib/run-program.ts";
import { ImageBlobs } from "../blobs.ts";
import { type ImportPlaces, importStream, importTar } from "../import.ts";
import { type LayerEntry, layerTar, writeLayout } from "../layers/testing.ts";
import { BlobStore } from "../oci/blob-store.ts";
import { digestOf } from "../oci/digest.ts";
import { DEFAULT_LIMITS } from "../tar/limits.ts";
import { createTemporaryDirectory, failureOf } from "../testing.ts";
import { exportLayout } from "./export-layout.ts";
import { exportRootfs } from "./export-rootfs.ts";

const LAYERS: readonly (readonly LayerEntry[])[] = [
  [
    { path: "bin", kind: "directory" },
    { path: "bin/app", content: "app", mode: 0o4755, uid: 1000, gid: 70_000, mtimeSeconds: 1_234_567_890 },
    {
      path: "bin/cap",
      content: "c",
      xattrs: { "security.capability": "\x01\0\0\x02\0 \0\0\0\0\0\0\0\0\0\0\0\0\0\0" },
    },
    { path: "old", content: "gone soon" },
  ],
  [{ path: ".wh.old" }, { path: "bin/alias", kind: "hardlink", linkPath: "bin/app" }],
];

const CONFIG = {
  Entrypoint: ["/bin/app"],
  Cmd: ["--help"],
  Env: ["PATH=/bin", "EMPTY=", "no value"],
  WorkingDir: "srv",
  User: "1000:70000",
  ExposedPorts: { "80/tcp": {} },
  Volumes: { "/data": {} },
  StopSignal: "SIGINT",
  Labels: { a: "b" },
};

const skopeo = findProgram("skopeo") !== undefined && findProgram("unsquashfs") !== undefined;
if (!skopeo) console.warn("skipped: archives of skopeo (skopeo or squashfs-tools is not installed)");
const sqfs2tar = findProgram("sqfs2tar") !== undefined;
if (!sqfs2tar) console.warn("skipped: export of root file systems (squashfs-tools-ng is not installed)");

function placesIn(dir: string): ImportPlaces {
  return {
    blobs: new ImageBlobs(join(dir, "images")),
    store: new BlobStore(join(dir, "blobs")),
    scratchDir: join(dir, "scratch"),
  };
}

/** What older `docker save` writes: layers as plain tars, one of them a link, the list at the end. */
function savedArchive(change: (parts: Map<string, LayerEntry>) => void = () => undefined): Buffer {
  const tars = [...LAYERS.map(layerTar), layerTar([])];
  const config = JSON.stringify({
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: CONFIG,
    rootfs: { type: "layers", diff_ids: [...tars.map((tar) => digestOf(tar)), digestOf(layerTar([]))] },
  });
  const id = digestOf(config).slice(7);
  const parts = new Map<string, LayerEntry>();
  for (const [index, tar] of tars.entries()) {
    parts.set(`l${index}/VERSION`, { path: `${String(index).repeat(64)}/VERSION`, content: "1.0" });
    parts.set(`l${index}`, {
      path: `${String(index).repeat(64)}/layer.tar`,
      content: tar.toString("latin1"),
    });
  }
  parts.set("link", {
    path: `${"3".repeat(64)}/layer.tar`,
    kind: "symlink",
    linkPath: `../${"2".repeat(64)}/layer.tar`,
  });
  parts.set("config", { path: `${id}.json`, content: config });
  const list = [
    {
      Config: `${id}.json`,
      RepoTags: ["app:latest"],
      Layers: [0, 1, 2, 3].map((index) => `${String(index).repeat(64)}/layer.tar`),
    },
  ];
  parts.set("manifest", { path: "manifest.json", content: JSON.stringify(list) });
  change(parts);
  return layerTar([...parts.values()]);
}

async function listing(path: string): Promise<string[]> {
  const { stdout } = await runProgram(["unsquashfs", "-lln", path]);
  return Buffer.from(stdout)
    .toString()
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.replace(/^(\S+) (\S+) +\d+ \S+ \S+ squashfs-root/u, "$1 $2 "));
}

async function* piecesOf(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

test("importStream() holds the links of an archive of images to the limit of entries", async () => {
  await using dir = await createTemporaryDirectory();
  const bytes = savedArchive((parts) => {
    for (let at = 0; at < 40; at += 1) {
      parts.set(`long${at}`, { path: `long${at}`, kind: "symlink", linkPath: "x/".repeat(2_000) });
    }
  });
  const options = { source: { name: "app" }, limits: { ...DEFAULT_LIMITS, maxEntries: 100 } };
  const error = await failureOf(importStream(piecesOf(bytes), placesIn(dir.path), options));
  expect([error.code, error.details["limit"]]).toEqual(["invalid_argument", "images.max_entries"]);
});

describe("importStream() of an archive of docker save", () => {
  test("takes files and configuration, from a pipe, compressed or not", async () => {
    await using dir = await createTemporaryDirectory();
    const places = placesIn(dir.path);
    const digests = new Set<string>();
    for (const bytes of [savedArchive(), gzipSync(savedArchive()), zstdCompressSync(savedArchive())]) {
      const image = await importStream(piecesOf(bytes), places, { source: { name: "app" } });
      digests.add(image.digest);
      expect(image.config).toEqual({
        entrypoint: ["/bin/app"],
        cmd: ["--help"],
        env: { PATH: "/bin", EMPTY: "" },
        workdir: "/srv",
        user: "1000:70000",
        exposedPorts: ["80/tcp"],
        volumes: ["/data"],
        stopSignal: "SIGINT",
        labels: { a: "b" },
      });
      expect(await listing(image.rootfsPath)).toEqual([
        "drwxr-xr-x 0/0 /bin",
        "-rwsr-xr-x 1000/70000 /bin/alias",
        "-rwsr-xr-x 1000/70000 /bin/app",
        "-rw-r--r-- 0/0 /bin/cap",
      ]);
      // The manifest that was made for it, its configuration, three layers of which one stands there twice.
      expect(await places.store.list()).toHaveLength(5);
    }
    expect(digests.size).toBe(1);
  });

  test("gives another image for the same files with another configuration", async () => {
    await using dir = await createTemporaryDirectory();
    const places = placesIn(dir.path);
    const one = await importStream(piecesOf(savedArchive()), places, { source: { name: "a" } });
    const rootfs = await collect(exportRootfsOrNothing(one.rootfsPath));
    const other = await importStream(piecesOf(rootfs), places, {
      source: { name: "b" },
      config: { cmd: ["/x"] },
    });
    const third = await importStream(piecesOf(rootfs), places, {
      source: { name: "b" },
      config: { cmd: ["/y"] },
    });
    expect(new Set([one.digest, other.digest, third.digest]).size).toBe(3);
    expect(third.config).toEqual({ cmd: ["/y"] });
  });

  const broken: Readonly<Record<string, readonly [string, (parts: Map<string, LayerEntry>) => void]>> = {
    "a layer that is missing": ["is missing", (parts) => void parts.delete("l1")],
    "a link to nothing": [
      "is missing",
      (parts) =>
        void parts.set("link", { path: `${"3".repeat(64)}/layer.tar`, kind: "symlink", linkPath: "../x" }),
    ],
    "a loop of links": [
      "is missing",
      (parts) =>
        void parts.set("link", {
          path: `${"3".repeat(64)}/layer.tar`,
          kind: "symlink",
          linkPath: "layer.tar",
        }),
    ],
    "no configuration": ["is missing", (parts) => void parts.delete("config")],
    "no list": ["is missing", (parts) => void parts.delete("manifest")],
    "a list that is none": [
      "manifest.json",
      (parts) => void parts.set("manifest", { path: "manifest.json", content: "{}" }),
    ],
    "a layer that is another": [
      "is not what its image says",
      (parts) => {
        const path = `${"1".repeat(64)}/layer.tar`;
        parts.set("l1", { path, content: layerTar([{ path: "other" }]).toString("latin1") });
      },
    ],
    "two images": [
      "2 images",
      (parts) => {
        const list = JSON.parse(parts.get("manifest")?.content ?? "[]");
        parts.set("manifest", { path: "manifest.json", content: JSON.stringify([...list, ...list]) });
      },
    ],
  };

  test.each(Object.keys(broken))("refuses %s, and leaves nothing", async (name) => {
    await using dir = await createTemporaryDirectory();
    const places = placesIn(dir.path);
    const [says, change] = broken[name] ?? ["", () => undefined];
    const error = await failureOf(
      importStream(piecesOf(savedArchive(change)), places, { source: { name: "a" } }),
    );
    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain(says);
    expect(await places.store.list()).toEqual([]);
    expect(await places.blobs.list()).toEqual([]);
  });

  test("refuses every truncation, and leaves nothing", async () => {
    await using dir = await createTemporaryDirectory();
    const places = placesIn(dir.path);
    const bytes = savedArchive();
    for (let size = 0; size < bytes.length; size += 1111) {
      const error = await failureOf(
        importStream(piecesOf(bytes.subarray(0, size)), places, { source: { name: "a" } }),
      );
      expect(error.code).toBe("invalid_argument");
    }
    expect(await places.store.list()).toEqual([]);
  });
});

/** Without the program, an empty archive would not be imported: then any root file system will do. */
async function* exportRootfsOrNothing(path: string): AsyncGenerator<Uint8Array> {
  if (sqfs2tar) yield* exportRootfs(path);
  else yield layerTar([{ path: "etc/passwd" }]);
}

describe("an OCI layout", () => {
  test("goes in and out with the same blobs, and docker's list beside them", async () => {
    await using dir = await createTemporaryDirectory();
    await writeLayout(join(dir.path, "layout"), LAYERS.map(layerTar));
    const tar = join(dir.path, "layout.tar");
    await runProgram(["tar", "-C", join(dir.path, "layout"), "-cf", tar, "."]);
    const places = placesIn(dir.path);
    const image = await importTar(tar, places);
    const blobs = (await readdir(join(dir.path, "layout", "blobs", "sha256"))).sort();
    expect(image.oci?.blobs.map((digest) => digest.slice(7)).toSorted()).toEqual(blobs);
    const manifestDigest = image.oci?.manifestDigest ?? "sha256:";
    const exported = await collect(exportLayout({ store: places.store, manifestDigest, name: "app:v2" }));
    await writeFile(join(dir.path, "out.tar"), exported);

    const again = await importTar(join(dir.path, "out.tar"), placesIn(join(dir.path, "again")));
    expect(again.digest).toBe(image.digest);
    expect(again.oci).toEqual(image.oci ?? { manifestDigest, blobs: [] });

    await mkdir(join(dir.path, "out"));
    await runProgram(["tar", "-C", join(dir.path, "out"), "-xf", join(dir.path, "out.tar")]);
    expect((await readdir(join(dir.path, "out", "blobs", "sha256"))).sort()).toEqual(blobs);
    if (!skopeo) return;
    const inspect = async (from: string): Promise<string> =>
      Buffer.from(
        (await runProgram(["skopeo", "inspect", "--format", "{{.Digest}} {{.Layers}}", from])).stdout,
      ).toString();
    expect(await inspect(`oci-archive:${join(dir.path, "out.tar")}`)).toBe(
      await inspect(`oci:${join(dir.path, "layout")}:test`),
    );
    // The same file is what `docker load` takes.
    expect(await inspect(`docker-archive:${join(dir.path, "out.tar")}:app:v2`)).toContain("sha256:");
  });

  test("is refused with two images in it, with another system's, and with a blob that is another", async () => {
    await using dir = await createTemporaryDirectory();
    const entry = (digest: string, more: object): object => ({
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      digest,
      size: 2,
      ...more,
    });
    const layout = (manifests: readonly object[], more: readonly LayerEntry[] = []): Buffer =>
      layerTar([
        { path: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
        { path: "index.json", content: JSON.stringify({ schemaVersion: 2, manifests }) },
        ...more,
      ]);
    const [a, b] = [digestOf("a"), digestOf("b")];
    const windows = { platform: { os: "windows", architecture: "amd64" } };
    const refused: readonly (readonly [Buffer, string, string])[] = [
      [layout([entry(a, {}), entry(b, {})]), "invalid_argument", "2 images"],
      [layout([entry(a, windows)]), "not_found", "no image for"],
      [layout([entry(a, {})]), "invalid_argument", "is missing"],
      [
        layout([entry(a, {})], [{ path: `blobs/sha256/${a.slice(7)}`, content: "b" }]),
        "invalid_argument",
        "contents",
      ],
    ];
    for (const [bytes, code, says] of refused) {
      const places = placesIn(dir.path);
      const error = await failureOf(importStream(piecesOf(bytes), places, { source: { name: "x" } }));
      expect(error.code).toBe(code as typeof error.code);
      expect(error.message).toContain(says);
      expect(await places.store.list()).toEqual([]);
    }
  });
});

test.skipIf(!sqfs2tar)("exportRootfs() gives a tar that makes the same image", async () => {
  await using dir = await createTemporaryDirectory();
  const places = placesIn(dir.path);
  const source = { source: { name: "rootfs" } };
  const image = await importStream(piecesOf(layerTar(LAYERS[0] ?? [])), places, source);
  const tar = await collect(exportRootfs(image.rootfsPath));
  const again = await importStream(piecesOf(tar), places, source);
  expect(again.digest).toBe(image.digest);
});

test("importStream() of a root file system leaves nothing of what the pipe brought", async () => {
  await using dir = await createTemporaryDirectory();
  const places = placesIn(dir.path);
  await importStream(piecesOf(layerTar(LAYERS[0] ?? [])), places, { source: { name: "rootfs" } });
  expect(await readdir(places.scratchDir)).toEqual([]);
  const error = await failureOf(importStream(piecesOf(layerTar([])), places, { source: { name: "rootfs" } }));
  expect(error.message).toContain("empty");
});
