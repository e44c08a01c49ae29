import { describe, expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import type { ProgressEvent } from "../../model/progress.ts";
import { digestOf } from "../oci/digest.ts";
import { createTemporaryDirectory, failureOf } from "../testing.ts";
import { createImage, createPuller, createServerOf, INDEX_TYPE, plainHttp, serveImage } from "./testing.ts";

const BASE = Buffer.alloc(100_000, "base");
const IMAGE = createImage({ layers: [BASE, Buffer.from("top")] });

/** Every file below, so that what was left behind is seen. */
async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort();
}

/** Bytes of the large layer came. */
function isUnderWay(event: ProgressEvent): boolean {
  return event.event === "layer" && event.totalBytes === BASE.length && event.doneBytes > 0;
}

describe("RegistryPuller.pull()", () => {
  test("gives an image whose layers lie verified on disk, with progress by layer", async () => {
    await using dir = await createTemporaryDirectory();
    await using server = await createServerOf(serveImage(IMAGE));
    const { pull, events, clock } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const image = await pull(`${server.host}/a`);
    expect(image.manifestDigest).toBe(IMAGE.manifestDigest);
    expect(image.config.cmd).toEqual(["/bin/true"]);
    expect(image.layers.map(({ digest, diffId }) => [digest, diffId])).toEqual(
      IMAGE.layers.map((d) => [d, d]),
    );
    for (const layer of image.layers) {
      expect(digestOf(await readFile(layer.path))).toBe(layer.digest);
    }
    for (const [index, layer] of image.layers.entries()) {
      const totalBytes = [100_000, 3][index] ?? 0;
      expect(events).toContainEqual({
        event: "layer",
        digest: layer.digest,
        doneBytes: totalBytes,
        totalBytes,
      });
    }
    expect(clock.watched).toBe(0);
  });

  test("fetches nothing of a digest that is there, and not even asks when it is pulled by digest", async () => {
    await using dir = await createTemporaryDirectory();
    await using server = await createServerOf(serveImage(IMAGE));
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const first = await pull(`${server.host}/a`);
    server.requests.length = 0;
    expect(await pull(`${server.host}/a`)).toEqual(first);
    expect(server.requests).toEqual(["HEAD /v2/a/manifests/latest"]);
    expect(await pull(`${server.host}/a@${IMAGE.manifestDigest}`)).toEqual(first);
    expect(server.requests.length).toBe(1);
  });

  test("fetches the one layer that another image does not share", async () => {
    const next = createImage({ layers: [BASE, Buffer.from("other top")] });
    await using dir = await createTemporaryDirectory();
    await using server = await createServerOf(serveImage(IMAGE), serveImage(next, "b"));
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    await pull(`${server.host}/a`);
    server.requests.length = 0;
    await pull(`${server.host}/b`);
    const blobs = server.requests.filter((line) => line.includes("/blobs/"));
    const config = [...next.blobs.keys()].find(
      (digest) => !(next.layers as readonly string[]).includes(digest),
    );
    expect(blobs.toSorted()).toEqual(
      [config, next.layers[1]].map((digest) => `GET /v2/b/blobs/${digest}`).toSorted(),
    );
  });

  test("shares the download of two pulls at once, and of a layer that stands in an image twice", async () => {
    const twice = createImage({ layers: [BASE, BASE] });
    await using dir = await createTemporaryDirectory();
    await using server = await createServerOf(serveImage(twice));
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const [one, two] = await Promise.all([pull(`${server.host}/a`), pull(`${server.host}/a`)]);
    expect(one).toEqual(two);
    expect(one.layers.length).toBe(2);
    expect(server.requests.filter((line) => line.endsWith(`/blobs/${twice.layers[0]}`)).length).toBe(1);
  });

  test("goes on for the other when one of two pulls gives up", async () => {
    const held = Promise.withResolvers<void>();
    await using dir = await createTemporaryDirectory();
    await using server = await createServerOf(async ({ url }, response) => {
      if (url?.endsWith(String(IMAGE.layers[0])) !== true) return false;
      response.writeHead(200, { "content-length": BASE.length });
      response.write(BASE.subarray(0, 50_000));
      await held.promise;
      response.end(BASE.subarray(50_000));
      return true;
    }, serveImage(IMAGE));
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const giving = new AbortController();
    const [began, joined] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const first = failureOf(
      pull(`${server.host}/a`, {
        signal: giving.signal,
        onProgress: (event) => isUnderWay(event) && began.resolve(),
      }),
    );
    await began.promise;
    const second = pull(`${server.host}/a`, { onProgress: (event) => isUnderWay(event) && joined.resolve() });
    await joined.promise;
    giving.abort();
    expect((await first).code).toBe("cancelled");
    held.resolve();
    expect((await second).layers.length).toBe(2);
    expect(server.requests.filter((line) => line.endsWith(String(IMAGE.layers[0]))).length).toBe(1);
  });

  test("waits for one that gives up before it fetches the same blob anew", async () => {
    await using dir = await createTemporaryDirectory();
    const asked = Promise.withResolvers<void>();
    let held = true;
    await using server = await createServerOf(({ url }) => {
      if (!held || url?.endsWith(String(IMAGE.layers[0])) !== true) return false;
      asked.resolve();
      return true;
    }, serveImage(IMAGE));
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const giving = new AbortController();
    const first = failureOf(pull(`${server.host}/a`, { signal: giving.signal }));
    await asked.promise;
    held = false;
    giving.abort();
    expect((await pull(`${server.host}/a@${IMAGE.manifestDigest}`)).layers.length).toBe(2);
    expect((await first).code).toBe("cancelled");
  });

  test("keeps the beginning of what was cancelled, and fetches the rest of it later", async () => {
    await using dir = await createTemporaryDirectory();
    const half = BASE.length / 2;
    let cut = true;
    await using server = await createServerOf((request, response) => {
      if (!cut || !request.url?.endsWith(String(IMAGE.layers[0]))) return false;
      response.writeHead(200, { "content-length": BASE.length });
      response.write(BASE.subarray(0, half));
      return true;
    }, serveImage(IMAGE));
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const giving = new AbortController();
    const error = await failureOf(
      pull(`${server.host}/a`, {
        signal: giving.signal,
        onProgress: (event) =>
          event.event === "layer" && event.doneBytes > 0 && event.totalBytes > 3 && giving.abort(),
      }),
    );
    expect(error.code).toBe("cancelled");
    expect(await filesIn(dir.path)).toContain(String(IMAGE.layers[0]).replace(":", "-"));
    cut = false;
    const seen: string[] = [];
    await using watching = await createServerOf((request) => {
      if (request.headers.range !== undefined) seen.push(request.headers.range);
      return false;
    }, serveImage(IMAGE));
    const again = createPuller(dir.path, { registries: plainHttp(watching.host) });
    await again.pull(`${watching.host}/a`);
    expect(seen.length).toBe(1);
    expect(Number(/\d+/.exec(seen[0] ?? "")?.[0])).toBeGreaterThan(0);
    expect((await filesIn(dir.path)).filter((name) => name.includes("-"))).toEqual([]);
  });

  test("takes the build for this host out of an index, and refuses one that has none", async () => {
    const other = createImage({ layers: [BASE], platform: { os: "linux", architecture: "s390x" } });
    const entry = (image: typeof IMAGE, platform: unknown): unknown => ({
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      digest: image.manifestDigest,
      size: image.manifest.length,
      platform,
    });
    const host = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };
    const unknown = { os: "unknown", architecture: "unknown" };
    const s390x = { os: "linux", architecture: "s390x" };
    const indexes = new Map(
      Object.entries({
        good: [entry(other, s390x), entry(other, unknown), entry(IMAGE, host)],
        none: [entry(other, s390x), entry(other, unknown)],
        lying: [entry(other, host)],
      }).map(([tag, manifests]) => [
        `/v2/a/manifests/${tag}`,
        JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests }),
      ]),
    );
    await using dir = await createTemporaryDirectory();
    await using server = await createServerOf(
      ({ url = "", method }, response) => {
        const index = indexes.get(url);
        if (index === undefined) return false;
        response.writeHead(200, { "content-type": INDEX_TYPE, "docker-content-digest": digestOf(index) });
        response.end(method === "HEAD" ? undefined : index);
        return true;
      },
      serveImage(IMAGE),
      serveImage(other),
    );
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    expect((await pull(`${server.host}/a:good`)).manifestDigest).toBe(IMAGE.manifestDigest);
    const none = await failureOf(pull(`${server.host}/a:none`));
    expect([none.code, none.message]).toEqual([
      "not_found",
      `there is no build of the image for ${host.os}/${host.architecture}; there is: linux/s390x`,
    ]);
    const lying = await failureOf(pull(`${server.host}/a:lying`));
    expect([lying.code, lying.message]).toEqual([
      "unsupported",
      expect.stringContaining("linux/s390x, which cannot run here"),
    ]);
    const asked = await failureOf(pull(`${server.host}/a`, { platform: s390x }));
    expect(asked.code).toBe("unsupported");
  });

  test("asks mirrors first, passes over what fails, and says so when all do", async () => {
    await using dir = await createTemporaryDirectory();
    await using mirror = await createServerOf(serveImage(IMAGE, "some/path/a"));
    await using origin = await createServerOf(serveImage(IMAGE), serveImage(IMAGE, "b"));
    const registries = {
      ...plainHttp(mirror.host),
      [origin.host]: { mirrors: [`${mirror.host}/some/path`], insecure: true, ca: undefined },
    };
    const { pull, store } = createPuller(dir.path, { registries });
    await pull(`${origin.host}/a`);
    expect(origin.requests).toEqual([]);
    for (const digest of await store.list()) await store.remove(digest);
    await pull(`${origin.host}/b`);
    expect(mirror.requests).toContain("GET /v2/some/path/b/manifests/latest");
    expect(origin.requests.length).toBeGreaterThan(3);
    const error = await failureOf(pull(`${origin.host}/c`));
    expect(error.code).toBe("not_found");
    expect(error.details["registry"]).toBe(origin.host);
    expect(error.details["mirrors"]).toMatchObject([{ registry: mirror.host }]);
  });
});
