import { describe, expect, test } from "bun:test";
import {
  chooseModules,
  type ModuleSource,
  moduleDependencies,
  moduleNameFromPath,
  parseBuiltin,
} from "./kernel-modules.ts";
import { createElf, createModule, failureOf } from "./testing.ts";

function createSource(
  depends: Readonly<Record<string, string>>,
  builtin: readonly string[] = [],
): ModuleSource {
  return {
    isBuiltin: (name) => builtin.includes(name),
    async load(name) {
      const list = depends[name];
      return list === undefined ? undefined : { name, bytes: createModule(list) };
    },
  };
}

async function namesOf(source: ModuleSource, wanted: readonly string[]): Promise<string[]> {
  return (await chooseModules(source, wanted)).map((module) => module.name);
}

describe("chooseModules()", () => {
  test("puts each module after what it depends on, once", async () => {
    const source = createSource({ net: "failover,core", blk: "core", failover: "core", core: "" });
    expect(await namesOf(source, ["blk", "net"])).toEqual(["core", "blk", "failover", "net"]);
  });

  test("takes - and _ as one", async () => {
    const source = createSource({ virtio_rng: "rng-core", rng_core: "" });
    expect(await namesOf(source, ["virtio-rng"])).toEqual(["rng_core", "virtio_rng"]);
  });

  test("leaves out what is built in", async () => {
    expect(await namesOf(createSource({ blk: "core" }, ["core", "ext4"]), ["ext4", "blk"])).toEqual(["blk"]);
  });

  test("refuses a module that is neither there nor built in, saying who needs it", async () => {
    const error = await failureOf(chooseModules(createSource({ blk: "core" }), ["blk"]));
    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain("no module core, which blk needs");
  });

  test("refuses a circle", async () => {
    const error = await failureOf(chooseModules(createSource({ a: "b", b: "a" }), ["a"]));
    expect(error.message).toContain("depends on itself");
  });
});

test("moduleDependencies() refuses what is not a module", () => {
  expect(() => moduleDependencies(Buffer.from("no"))).toThrow("ELF");
  expect(() => moduleDependencies(createElf())).toThrow(".modinfo");
});

test("moduleNameFromPath() knows modules by their name, compressed or not", () => {
  expect(moduleNameFromPath("kernel/fs/overlayfs/overlay.ko")).toBe("overlay");
  expect(moduleNameFromPath("a/virtio-rng.ko.xz")).toBe("virtio-rng");
  expect(moduleNameFromPath("overlay.ko.zst")).toBe("overlay");
  expect(moduleNameFromPath("modules.order")).toBeUndefined();
  expect(moduleNameFromPath("a/..ko")).toBeUndefined();
});

test("parseBuiltin() reads modules.builtin", () => {
  expect([...parseBuiltin("kernel/fs/ext4/ext4.ko\nkernel/lib/crc-t10dif.ko\n")]).toEqual([
    "ext4",
    "crc_t10dif",
  ]);
});
