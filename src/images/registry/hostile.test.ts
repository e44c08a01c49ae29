import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { parseDigest } from "../../model/digest.ts";
import type { ProgressEvent } from "../../model/progress.ts";
import { createTemporaryDirectory, failureOf } from "../testing.ts";
import {
  createImage,
  createPuller,
  createServerOf,
  type Handler,
  MANIFEST_TYPE,
  plainHttp,
  serveImage,
} from "./testing.ts";

const LARGE = Buffer.alloc(300_000, "large");
const IMAGE = createImage({ layers: [LARGE] });
const LAYER = String(IMAGE.layers[0]);

async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort();
}

/** Answers what ends with `path`, with whatever `answer` does. */
function at(path: string, answer: (response: ServerResponse, range: string | undefined) => void): Handler {
  return ({ url = "", headers }, response) => {
    if (!url.endsWith(path)) return false;
    answer(response, headers.range);
    return true;
  };
}

function sends(body: Buffer | string, headers: Readonly<Record<string, string>> = {}, status = 200) {
  return (response: ServerResponse): void => {
    response.writeHead(status, headers);
    response.end(body);
  };
}

const TYPE = { "content-type": MANIFEST_TYPE };
const SCHEMA_1 = { "content-type": "application/vnd.docker.distribution.manifest.v1+prettyjws" };

const FOREIGN = createImage({
  layers: [LARGE],
  layer: { mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls: ["http://h/x"] },
});
const CHART = createImage({
  layers: [],
  manifest: { config: { mediaType: "application/vnd.cncf.helm.config.v1+json", digest: LAYER, size: 2 } },
});
const BOTH = createImage({ layers: [LARGE], manifest: { manifests: [] } });
const LYING = createImage({ layers: [LARGE], layer: { size: 10 } });
const HUGE = createImage({ layers: [LARGE], layer: { size: 2 ** 40 } });
const ZERO = `sha256:${"0".repeat(64)}`;

describe("a registry that answers", () => {
  test.each<[string, Handler, string, string]>([
    [
      "a web page",
      at("/latest", sends("<html>", { "content-type": "text/html" })),
      "unavailable",
      "a web page",
    ],
    [
      "a page as a manifest",
      at("/latest", sends("<!doctype html><p>", TYPE)),
      "invalid_argument",
      "an HTML page",
    ],
    [
      "a page for a layer",
      at(LAYER, sends("<html>", { "content-type": "text/html" })),
      "unavailable",
      "a web page",
    ],
    ["no JSON", at("/latest", sends("{", TYPE)), "invalid_argument", "not JSON"],
    ["a list", at("/latest", sends("[]", TYPE)), "invalid_argument", "not a JSON object"],
    [
      "deep brackets",
      at("/latest", sends("[".repeat(4_000_000), TYPE)),
      "invalid_argument",
      "nested too deeply",
    ],
    [
      "bytes that are no text",
      at("/latest", sends(Buffer.from([0x7b, 0xff]), TYPE)),
      "invalid_argument",
      "not UTF-8",
    ],
    ["schema 1 by its type", at("/latest", sends("{}", SCHEMA_1)), "unsupported", "schema 1"],
    ["schema 1 by its version", at("/latest", sends('{"schemaVersion":1}', TYPE)), "unsupported", "schema 1"],
    [
      "a manifest with a wrong digest",
      at("/latest", sends(IMAGE.manifest, { ...TYPE, "docker-content-digest": ZERO })),
      "invalid_argument",
      "not what it should be",
    ],
    ["a foreign layer", serveImage(FOREIGN), "unsupported", "a foreign layer"],
    ["a Helm chart", serveImage(CHART), "unsupported", "not an image that can run"],
    ["a manifest that is an index, too", serveImage(BOTH), "invalid_argument", "ambiguous"],
    [
      "an index by its type alone",
      at("/latest", sends(IMAGE.manifest, { "content-type": "application/vnd.oci.image.index.v1+json" })),
      "invalid_argument",
      "ambiguous",
    ],
    ["a layer of a terabyte", serveImage(HUGE), "invalid_argument", "not valid"],
    ["a layer that says to be smaller", serveImage(LYING), "invalid_argument", "should have 10 bytes"],
    [
      "a layer that is shorter",
      at(LAYER, sends("short", { "content-length": "5" })),
      "invalid_argument",
      "says 5",
    ],
    [
      "a layer of other bytes",
      at(LAYER, sends(Buffer.alloc(LARGE.length, "evil"))),
      "invalid_argument",
      "are others",
    ],
    [
      "a layer that does not end",
      at(LAYER, (response) => void pour(response, 2 ** 30)),
      "invalid_argument",
      "more than the 300000 bytes",
    ],
    ["no layer", at(LAYER, sends("", {}, 404)), "not_found", "does not have the blob"],
    [
      "status 403",
      at("/latest", sends('{"errors":[{"message":"go away\\u001b[2J"}]}', {}, 403)),
      "permission_denied",
      'it says "go away\\u001b[2J"',
    ],
    ["status 418", at("/latest", sends("", {}, 418)), "unavailable", "status 418"],
    [
      "a redirect to nowhere",
      at("/latest", sends("", { location: "ftp://h/" }, 307)),
      "unavailable",
      "redirects to nowhere",
    ],
    [
      "redirects without an end",
      at("/latest", sends("", { location: "/v2/a/manifests/latest" }, 302)),
      "unavailable",
      "more than 8 times",
    ],
  ])("%s is refused with its reason, and nothing is left of the layer", async (_, handler, code, message) => {
    await using dir = await createTemporaryDirectory();
    await using server = await createServerOf(handler, serveImage(IMAGE));
    const { pull, clock } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const error = await failureOf(pull(`${server.host}/a`));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)] as never);
    expect(error.message.length).toBeLessThan(500);
    expect((await filesIn(dir.path)).filter((name) => name.includes(LAYER.slice(7)))).toEqual([]);
    expect(clock.watched).toBe(0);
    expect(clock.waits).toEqual([]);
  });

  test("a manifest of 50 MB is refused before it is read, stated or not", async () => {
    for (const headers of [{ ...TYPE, "content-length": String(50_000_000) }, TYPE]) {
      let closed = Promise.withResolvers<void>();
      let sent = 0;
      await using dir = await createTemporaryDirectory();
      await using server = await createServerOf(({ method }, response) => {
        response.writeHead(200, headers);
        if (method === "HEAD") return (response.end(), true);
        closed = Promise.withResolvers<void>();
        response.once("close", closed.resolve);
        void pour(response, 50_000_000).then((bytes) => (sent = bytes));
        return true;
      });
      const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
      const error = await failureOf(pull(`${server.host}/a`));
      expect([error.code, error.message]).toEqual([
        "invalid_argument",
        expect.stringContaining("4194304 bytes"),
      ] as never);
      await closed.promise;
      expect(sent).toBeLessThan(50_000_000);
      expect(await filesIn(dir.path)).toEqual([]);
    }
  });
});

describe("a registry that is slow", () => {
  test("and sends no head is given up after each of five attempts", async () => {
    await using dir = await createTemporaryDirectory();
    const puller = createPuller(dir.path, { registries: {} });
    await using server = await createServerOf(() => {
      puller.clock.stall();
      return true;
    });
    const { clock, pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    puller.clock.stall = () => clock.stall();
    const error = await failureOf(pull(`${server.host}/a`));
    expect([error.code, error.message]).toEqual(["timeout", `${server.host} has sent nothing for 60 s`]);
    expect(clock.waits).toEqual([500, 1000, 2000, 4000]);
    expect(server.requests.length).toBe(1 + 5);
    expect(clock.watched).toBe(0);
  });

  test("and stalls in a layer is asked for the rest of it", async () => {
    await using dir = await createTemporaryDirectory();
    const ranges: (string | undefined)[] = [];
    await using server = await createServerOf(
      at(LAYER, (response, range) => {
        ranges.push(range);
        const from = Number(/\d+/.exec(range ?? "0")?.[0]);
        const total = LARGE.length;
        response.writeHead(from === 0 ? 200 : 206, {
          "content-length": total - from,
          "content-range": `bytes ${from}-${total - 1}/${total}`,
        });
        response.write(LARGE.subarray(from, from + 100_000));
      }),
      serveImage(IMAGE),
    );
    const { clock, pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const ends = new Set([100_000, 200_000]);
    const image = await pull(`${server.host}/a`, {
      onProgress: (event) => {
        if (event.event !== "layer" || !ends.delete(event.doneBytes)) return;
        clock.stall();
      },
    });
    expect(image.layers.length).toBe(1);
    expect(ranges).toEqual([undefined, "bytes=100000-", "bytes=200000-"]);
    expect(clock.waits).toEqual([500, 500]);
  });

  test("is waited for as long as it asks, within a minute", async () => {
    await using dir = await createTemporaryDirectory();
    const answers = ["7", new Date(Date.parse("2026-01-01T00:10:00Z")).toUTCString()];
    let busy = 0;
    await using server = await createServerOf(({ url = "", method }, response) => {
      if (method === "HEAD" || !url.endsWith("/latest") || busy >= answers.length) return false;
      response.writeHead(busy === 0 ? 429 : 503, { "retry-after": answers[busy] ?? "" });
      busy += 1;
      response.end();
      return true;
    }, serveImage(IMAGE));
    const { clock, pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const error = await failureOf(pull(`${server.host}/a`));
    expect([error.code, error.message]).toEqual([
      "unavailable",
      expect.stringContaining("status 503"),
    ] as never);
    expect(clock.waits).toEqual([7000]);
    answers.length = 0;
    await pull(`${server.host}/a`);
  });

  test("and always busy is left alone after five attempts", async () => {
    await using dir = await createTemporaryDirectory();
    await using server = await createServerOf(at("", sends("", { "retry-after": "1" }, 429)));
    const { clock, pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const error = await failureOf(pull(`${server.host}/a`));
    expect([error.code, error.message]).toEqual([
      "resource_exhausted",
      expect.stringContaining("for 1 s"),
    ] as never);
    expect(clock.waits).toEqual([1000, 1000, 2000, 4000]);
  });
});

describe("a connection that is cut in a layer", () => {
  /** Sends the layer in pieces, one a connection; the last connection is left open until it is cut. */
  function createPieces(options: { readonly ranges: boolean; readonly rest?: Buffer }): {
    readonly handler: Handler;
    readonly asked: (string | undefined)[];
    readonly onProgress: (event: ProgressEvent) => void;
  } {
    const asked: (string | undefined)[] = [];
    let cut: { readonly at: number; readonly now: () => void } | undefined;
    return {
      asked,
      handler: at(LAYER, (response, range) => {
        asked.push(range);
        const from = options.ranges ? Number(/\d+/.exec(range ?? "0")?.[0]) : 0;
        const total = LARGE.length;
        response.writeHead(from === 0 ? 200 : 206, {
          "content-length": total - from,
          ...(from === 0 ? {} : { "content-range": `bytes ${from}-${total - 1}/${total}` }),
        });
        const to = asked.length * 120_000;
        if (from > 0 && options.rest !== undefined) return void response.end(options.rest.subarray(from));
        if (to >= total) return void response.end(LARGE.subarray(from));
        response.write(LARGE.subarray(from, to));
        cut = { at: to, now: () => response.destroy() };
      }),
      // Bytes that came together with the cut may be lost, so that it waits for them.
      onProgress(event) {
        if (event.event !== "layer" || event.doneBytes !== cut?.at) return;
        cut.now();
        cut = undefined;
      },
    };
  }

  test("is gone on with where it was cut", async () => {
    await using dir = await createTemporaryDirectory();
    const { handler, asked, onProgress } = createPieces({ ranges: true });
    await using server = await createServerOf(handler, serveImage(IMAGE));
    const { clock, pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    await pull(`${server.host}/a`, { onProgress });
    expect(asked).toEqual([undefined, "bytes=120000-", "bytes=240000-"]);
    expect(clock.waits).toEqual([500, 500]);
  });

  test("starts over where the registry knows no ranges", async () => {
    await using dir = await createTemporaryDirectory();
    const { handler, asked, onProgress } = createPieces({ ranges: false });
    await using server = await createServerOf(handler, serveImage(IMAGE));
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    await pull(`${server.host}/a`, { onProgress });
    expect(asked).toEqual([undefined, "bytes=120000-", "bytes=240000-"]);
  });

  test("is no way to send other bytes after the cut", async () => {
    await using dir = await createTemporaryDirectory();
    const { handler, onProgress } = createPieces({ ranges: true, rest: Buffer.alloc(LARGE.length, "evil") });
    await using server = await createServerOf(handler, serveImage(IMAGE));
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const error = await failureOf(pull(`${server.host}/a`, { onProgress }));
    expect([error.code, error.message]).toEqual(["invalid_argument", expect.stringContaining("are others")]);
    expect((await filesIn(dir.path)).filter((name) => name.includes(LAYER.slice(7)))).toEqual([]);
  });

  test("and cut again without a byte gained is given up, with what came kept for the next pull", async () => {
    await using dir = await createTemporaryDirectory();
    const { handler, onProgress } = createPieces({ ranges: true });
    let broken = true;
    await using server = await createServerOf(
      ({ headers, socket }) => {
        if (broken && headers.range !== undefined) socket.destroy();
        return broken && headers.range !== undefined;
      },
      handler,
      serveImage(IMAGE),
    );
    const { clock, pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const error = await failureOf(pull(`${server.host}/a`, { onProgress }));
    expect(error.code).toBe("unavailable");
    expect(clock.waits).toEqual([500, 1000, 2000, 4000]);
    expect(await filesIn(dir.path)).toContain(LAYER.replace(":", "-"));
    broken = false;
    await pull(`${server.host}/a`, { onProgress });
    expect(server.requests.filter((line) => line.endsWith(LAYER)).length).toBeGreaterThan(5);
  });

  test("and damaged on disk since is fetched whole", async () => {
    await using dir = await createTemporaryDirectory();
    await using server = await createServerOf(serveImage(IMAGE));
    const { store, pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    {
      await using partial = await store.openPartial({ digest: parseDigest(LAYER), sizeBytes: LARGE.length });
      await partial.writer.write(Buffer.alloc(5000, "rotten"));
    }
    await pull(`${server.host}/a`);
    expect(server.requests.filter((line) => line.endsWith(LAYER)).length).toBe(2);
  });
});

/** Writes until so much was sent or nobody listens any more; returns how much it was. */
async function pour(response: ServerResponse, totalBytes: number): Promise<number> {
  const piece = Buffer.alloc(64 * 1024, " ");
  const closed = once(response, "close");
  let sent = 0;
  while (sent < totalBytes && !response.destroyed) {
    sent += piece.length;
    if (response.write(piece)) continue;
    await Promise.race([once(response, "drain"), closed]);
  }
  response.end();
  return sent;
}
