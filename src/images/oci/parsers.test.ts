import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { BangerError } from "../../model/errors.ts";
import { parseImageConfig } from "./image-config.ts";
import { parseManifest } from "./manifest.ts";
import { choosePlatform, hostPlatform, parsePlatform, showPlatform, validateRunnable } from "./platform.ts";

const D = `sha256:${"0a".repeat(32)}`;
const bytes = (value: unknown): Buffer =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value));

const config = { mediaType: "application/vnd.docker.container.image.v1+json", digest: D, size: 7 };
const layer = { mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip", digest: D, size: 8 };
const manifest = { schemaVersion: 2, config, layers: [layer] };

function refusal(work: () => unknown): BangerError | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof BangerError) return error;
    throw error;
  }
}

describe("parseManifest()", () => {
  test("reads manifests and indexes of both kinds, with or without their type", () => {
    const parsed = parseManifest(bytes({ ...manifest, annotations: { a: "b" } }));
    expect(parsed).toEqual({
      kind: "manifest",
      config: { mediaType: config.mediaType, digest: D, sizeBytes: 7 },
      layers: [{ mediaType: layer.mediaType, digest: D, sizeBytes: 8 }],
    } as never);
    const entry = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: D, size: 9 };
    expect(parseManifest(bytes({ schemaVersion: 2, manifests: [entry] }))).toMatchObject({
      kind: "index",
      manifests: [{ digest: D, sizeBytes: 9, platform: undefined }],
    });
  });

  test.each<[string, unknown, string]>([
    ["a digest that leaves the directory", { ...layer, digest: "sha256:../../etc/passwd" }, "not a sha256"],
    ["a digest in capitals", { ...layer, digest: D.toUpperCase() }, "not a sha256"],
    ["a digest of md5", { ...layer, digest: `md5:${"0".repeat(32)}` }, "not a sha256"],
    ["a size below nothing", { ...layer, size: -1 }, "layers.0.size"],
    ["half a byte", { ...layer, size: 0.5 }, "layers.0.size"],
    ["a size as text", { ...layer, size: "8" }, "layers.0.size"],
    [
      "an encrypted layer",
      { ...layer, mediaType: "application/vnd.oci.image.layer.v1.tar+gzip+encrypted" },
      "encrypted layer",
    ],
    [
      "an OCI layer that may not be passed on",
      { ...layer, mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" },
      "foreign layer",
    ],
    ["a layer of another type", { ...layer, mediaType: "text/plain" }, "unknown type"],
  ])("refuses %s", (_, one, message) => {
    expect(refusal(() => parseManifest(bytes({ ...manifest, layers: [one] })))?.message).toContain(message);
  });

  test("refuses more layers, more entries and more bytes than an image may have", () => {
    const many = (count: number, one: unknown): unknown[] => Array.from({ length: count }, () => one);
    expect(refusal(() => parseManifest(bytes({ ...manifest, layers: many(513, layer) })))?.message).toContain(
      "512 layers",
    );
    expect(
      refusal(() => parseManifest(bytes({ schemaVersion: 2, manifests: many(1025, layer) })))?.message,
    ).toContain("1024 entries");
    const sized = many(2, { ...layer, size: 40 * 1024 ** 3 });
    expect(refusal(() => parseManifest(bytes({ ...manifest, layers: sized })))?.message).toContain(
      "together",
    );
    expect(refusal(() => parseManifest(Buffer.alloc(4 * 1024 * 1024 + 1, " ")))?.message).toContain(
      "4194304",
    );
  });
});

describe("parseImageConfig()", () => {
  test("reads what an image says about itself, and takes null for nothing", () => {
    const parsed = parseImageConfig(
      bytes({
        architecture: "amd64",
        os: "linux",
        rootfs: { type: "layers", diff_ids: [D] },
        config: {
          Entrypoint: ["/init"],
          Cmd: null,
          Env: ["A=b"],
          WorkingDir: "",
          User: "app:app",
          ExposedPorts: { "80/tcp": {} },
          Volumes: { "/data": {} },
          StopSignal: "SIGRTMIN+3",
          Labels: { a: "b" },
        },
      }),
    );
    expect(parsed).toEqual({
      platform: { os: "linux", architecture: "amd64", variant: undefined },
      diffIds: [D],
      entrypoint: ["/init"],
      cmd: [],
      env: ["A=b"],
      workingDir: undefined,
      user: "app:app",
      exposedPorts: ["80/tcp"],
      volumes: ["/data"],
      stopSignal: "SIGRTMIN+3",
      labels: { a: "b" },
      created: undefined,
    } as never);
    expect(parseImageConfig(bytes({ rootfs: { type: "layers", diff_ids: null } })).platform).toBeUndefined();
  });

  test.each<[unknown, string]>([
    [{}, "rootfs"],
    [{ rootfs: { type: "tar", diff_ids: [] } }, "rootfs.type"],
    [{ rootfs: { type: "layers", diff_ids: ["x"] } }, "diff_ids"],
    [{ rootfs: { type: "layers" }, config: { Env: "A=b" } }, "config.Env"],
    [{ rootfs: { type: "layers" }, config: { Cmd: ["a\0b"] } }, "NUL"],
  ])("refuses %j", (value, message) => {
    const error = refusal(() => parseImageConfig(bytes(value)));
    expect([error?.code, error?.message]).toEqual([
      "invalid_argument",
      expect.stringContaining(message),
    ] as never);
  });
});

test("no document makes a parser fail otherwise than by refusing it", () => {
  const json = fc.jsonValue({ maxDepth: 3 });
  const odd = fc.record(
    {
      schemaVersion: fc.constantFrom(1, 2, "2"),
      mediaType: fc.oneof(fc.constantFrom("application/vnd.oci.image.index.v1+json", config.mediaType), json),
      config: fc.oneof(fc.constant(config), json),
      layers: fc.oneof(fc.array(fc.oneof(fc.constant(layer), json)), json),
      manifests: fc.oneof(fc.array(fc.oneof(fc.constant(layer), json)), json),
      rootfs: fc.oneof(fc.constant({ type: "layers", diff_ids: [D] }), json),
      os: json,
    },
    { requiredKeys: [] },
  );
  const document = fc.oneof(odd.map(bytes), json.map(bytes), fc.uint8Array({ maxLength: 200 }));
  const mediaType = fc.oneof(fc.constant(undefined), fc.string({ maxLength: 80 }));
  fc.assert(
    fc.property(document, mediaType, (document, mediaType) => {
      for (const parse of [() => parseManifest(document, mediaType), () => parseImageConfig(document)]) {
        expect(["invalid_argument", "unsupported", undefined]).toContain(refusal(parse)?.code);
      }
    }),
    { seed: 5, numRuns: 3000 },
  );
});

describe("platforms", () => {
  test.each([
    ["linux/amd64", "linux/amd64"],
    ["amd64", "linux/amd64"],
    ["X86_64", "linux/amd64"],
    ["linux/aarch64/v8", "linux/arm64/v8"],
    ["windows/amd64", "windows/amd64"],
  ])("parsePlatform() reads %s", (text, shown) => {
    expect(showPlatform(parsePlatform(text))).toBe(shown);
  });

  test.each(["", "/", "linux/", "a/b/c/d", "linux/amd 64", "\0"])("parsePlatform() refuses %j", (text) => {
    expect(refusal(() => parsePlatform(text))?.code).toBe("invalid_argument");
  });

  test("validateRunnable() names both sides", () => {
    const host = hostPlatform("x64");
    validateRunnable(parsePlatform("linux/amd64/v3"), "it", host);
    const error = refusal(() => validateRunnable(parsePlatform("linux/arm64"), "it", host));
    expect(error?.code).toBe("unsupported");
    expect(error?.message).toBe(
      "it is linux/arm64, which cannot run here: guests on this host are linux/amd64",
    );
  });

  test("choosePlatform() takes the highest variant that is not above the wanted one", () => {
    const of = (
      ...texts: (string | undefined)[]
    ): { platform: ReturnType<typeof parsePlatform> | undefined }[] =>
      texts.map((text) => ({ platform: text === undefined ? undefined : parsePlatform(`linux/${text}`) }));
    const choose = (wanted: string, ...texts: (string | undefined)[]): string | undefined => {
      const chosen = choosePlatform(of(...texts), parsePlatform(`linux/${wanted}`));
      return chosen?.platform === undefined
        ? chosen === undefined
          ? "none"
          : undefined
        : showPlatform(chosen.platform);
    };
    expect(choose("amd64", "arm64", "amd64/v3", "amd64")).toBe("linux/amd64");
    expect(choose("amd64/v3", "amd64/v2", "amd64/v4", "amd64")).toBe("linux/amd64/v2");
    expect(choose("arm64", "arm64/v8")).toBe("linux/arm64/v8");
    expect(choose("amd64", "arm64", undefined)).toBeUndefined();
    expect(choose("amd64", "s390x", "arm64", "amd64/v2")).toBe("none");
  });
});
