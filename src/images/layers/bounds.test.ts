/** Layers that are small, and would grow large in memory: by directories that nobody describes, by long names, by links. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_LIMITS } from "../tar/limits.ts";
import { createTemporaryDirectory, failureOf } from "../testing.ts";
import { type LayerEntry, layerTar, unpackOurs } from "./testing.ts";

const DEEP = "d/".repeat(500);
const LIMITS = { ...DEFAULT_LIMITS, maxEntries: 2_000 };

const LAYERS: Readonly<Record<string, readonly (readonly LayerEntry[])[]>> = {
  "directories that no entry describes": [
    Array.from({ length: 5 }, (_, at) => ({ path: `${at}/${DEEP}file` })),
  ],
  "directories that no entry describes, over layers": Array.from({ length: 5 }, (_, at) => [
    { path: `${at}/${DEEP}file` },
  ]),
  "directories that are made and taken away again": [
    Array.from({ length: 10 }, (_, at) => [
      { path: `x/${DEEP}${at}` },
      { path: "x", kind: "fifo" as const },
      { path: "x", kind: "directory" as const },
    ]).flat(),
  ],
  "names of many bytes": [
    Array.from({ length: 400 }, (_, at) => ({
      path: `${at}`,
      kind: "symlink" as const,
      linkPath: DEEP.repeat(3),
    })),
  ],
  "links that lead a long way, for each entry anew": [
    [
      { path: DEEP, kind: "directory" },
      { path: "l", kind: "symlink", linkPath: `${"./".repeat(1_500)}${DEEP}` },
      ...Array.from({ length: 300 }, (_, at) => [{ path: `l/${at}` }, { path: `${at}` }]).flat(),
    ],
  ],
};

for (const [what, layers] of Object.entries(LAYERS)) {
  test(`mergeLayers() refuses ${what}, and names the limit`, async () => {
    await using directory = await createTemporaryDirectory();
    const merging = unpackOurs(directory.path, layers.map(layerTar), { limits: LIMITS });
    const error = await failureOf(merging);
    expect([error.code, error.details["limit"]]).toEqual(["invalid_argument", "images.max_entries"]);
    expect(existsSync(join(directory.path, "ours.squashfs"))).toBe(false);
  });
}

test("mergeLayers() refuses a name that links made longer than a name may be", async () => {
  await using directory = await createTemporaryDirectory();
  const layer: LayerEntry[] = [
    { path: "a", kind: "symlink", linkPath: "n".repeat(200) },
    { path: `a/${"m/".repeat(100)}b`, kind: "symlink", linkPath: "o/".repeat(100) },
    { path: `a/${"m/".repeat(100)}b/file` },
  ];
  const limits = { ...DEFAULT_LIMITS, maxPathBytes: 512 };
  const error = await failureOf(unpackOurs(directory.path, [layerTar(layer)], { limits }));
  expect([error.code, error.details["limit"]]).toEqual(["invalid_argument", "images.max_path"]);
});
