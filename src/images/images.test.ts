import { describe, expect, test } from "bun:test";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BangerError } from "../model/errors.ts";
import { Catalog } from "./catalog.ts";
import { type ImageBuilders, Images } from "./images.ts";
import { createTemporaryDirectory, failureOf } from "./testing.ts";

const { recipe } = new Catalog().get("debian");
if (recipe.kind !== "debian") throw new Error("debian is made of Debian's packages");
const DEBIAN = recipe;

function createImages(dir: string, builders: Partial<ImageBuilders> = {}): Images {
  return new Images({
    imagesDir: join(dir, "images"),
    cacheDir: join(dir, "cache"),
    builders,
  });
}

describe("Images.build()", () => {
  test("publishes what the recipe builds; two at once share the work", async () => {
    await using dir = await createTemporaryDirectory();
    let builds = 0;
    const images = createImages(dir.path, {
      debianRootfs: async (path, options) => {
        builds += 1;
        options.onStage?.("building");
        expect(options.suite).toBe("bookworm");
        await writeFile(path, "rootfs");
      },
    });
    const stages: string[] = [];
    const pull = (): Promise<{ digest: string }> =>
      images.build("debian", DEBIAN, { onStage: (stage) => stages.push(stage) });
    const [one, two] = await Promise.all([pull(), pull()]);
    expect(one).toEqual(two);
    expect(builds).toBe(1);
    expect(stages).toEqual(["building", "building"]);
    expect(await images.image(one.digest)).toMatchObject({
      sizeBytes: 6,
      source: "debian bookworm",
      config: {},
    });
    expect(await images.digests()).toEqual([one.digest]);
    await images.remove(one.digest);
    await images.remove(one.digest);
    expect(await readdir(join(dir.path, "images"))).toEqual([]);
    expect((await failureOf(images.image(one.digest))).code).toBe("not_found");
  });

  test("leaves nothing when the recipe fails or is aborted", async () => {
    await using dir = await createTemporaryDirectory();
    const controller = new AbortController();
    const images = createImages(dir.path, {
      debianRootfs: async (path, options) => {
        await writeFile(path, "half");
        controller.abort();
        options.signal?.throwIfAborted();
        throw new BangerError("unavailable", "no mirror");
      },
    });
    expect((await failureOf(images.build("debian", DEBIAN))).code).toBe("unavailable");
    expect((await failureOf(images.build("debian", DEBIAN, { signal: controller.signal }))).code).toBe(
      "cancelled",
    );
    expect(await readdir(join(dir.path, "images"))).toEqual([]);
  });

  test("removes what crashed builds left, and keeps a digest from becoming a path", async () => {
    await using dir = await createTemporaryDirectory();
    const images = createImages(dir.path);
    await mkdir(join(dir.path, "images", ".tmp-4194304-1-ab"), { recursive: true });
    expect(await images.removeLeftovers()).toEqual([".tmp-4194304-1-ab"]);
    expect((await failureOf(images.remove("../x"))).code).toBe("invalid_argument");
  });
});
