import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createTemporaryDirectory, failureOf } from "../testing.ts";
import {
  at,
  createImage,
  createPuller,
  createServerOf,
  filesIn,
  type Handler,
  MANIFEST_TYPE,
  plainHttp,
  sends,
  serveImage,
} from "./testing.ts";

const LARGE = Buffer.alloc(300_000, "large");
const IMAGE = createImage({ layers: [LARGE] });
const LAYER = String(IMAGE.layers[0]);

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
