import { describe, expect, test } from "bun:test";
import { parseDigest } from "../../model/digest.ts";
import type { ProgressEvent } from "../../model/progress.ts";
import { createTemporaryDirectory, failureOf } from "../testing.ts";
import {
  at,
  createImage,
  createPuller,
  createServerOf,
  filesIn,
  type Handler,
  plainHttp,
  sends,
  serveImage,
} from "./testing.ts";

const LARGE = Buffer.alloc(300_000, "large");
const IMAGE = createImage({ layers: [LARGE] });
const LAYER = String(IMAGE.layers[0]);

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
