/** Registries that tests make: small images, servers that behave as told, a clock that does not wait. */
import { readdir } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import type { Digest } from "../../model/digest.ts";
import type { ProgressEvent } from "../../model/progress.ts";
import type { Registries } from "../../model/registries.ts";
import { BlobStore } from "../oci/blob-store.ts";
import { digestOf } from "../oci/digest.ts";
import type { OciImage } from "../oci/image.ts";
import { STALL_MS } from "./http.ts";
import { type PullOptions, RegistryPuller } from "./pull.ts";

export interface TestImage {
  readonly manifest: Buffer;
  readonly manifestDigest: Digest;
  /** Configuration and layers. */
  readonly blobs: ReadonlyMap<string, Buffer>;
  readonly layers: readonly Digest[];
}

export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
export const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";

export interface ImageParts {
  /** Their contents need not be archives: nobody unpacks them here. */
  readonly layers: readonly Uint8Array[];
  readonly platform?: { readonly os: string; readonly architecture: string };
  /** Put over the manifest's fields. */
  readonly manifest?: Readonly<Record<string, unknown>>;
  /** Put over each layer's descriptor. */
  readonly layer?: Readonly<Record<string, unknown>>;
}

export function createImage(parts: ImageParts): TestImage {
  const { platform = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" } } = parts;
  const layers = parts.layers.map((bytes) => ({ digest: digestOf(bytes), bytes: Buffer.from(bytes) }));
  const config = Buffer.from(
    JSON.stringify({
      ...platform,
      rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
      config: { Cmd: ["/bin/true"] },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: {
        mediaType: "application/vnd.oci.image.config.v1+json",
        digest: digestOf(config),
        size: config.length,
      },
      layers: layers.map(({ digest, bytes }) => ({
        mediaType: "application/vnd.oci.image.layer.v1.tar",
        digest,
        size: bytes.length,
        ...parts.layer,
      })),
      ...parts.manifest,
    }),
  );
  return {
    manifest,
    manifestDigest: digestOf(manifest),
    blobs: new Map([[digestOf(config), config], ...layers.map((one) => [one.digest, one.bytes] as const)]),
    layers: layers.map(({ digest }) => digest),
  };
}

/** Answers a request, or returns false to leave it to the next. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

export interface TestServer extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Each request, as `GET /v2/…`. */
  readonly requests: string[];
  /** The `Authorization` of each request. */
  readonly authorizations: (string | undefined)[];
}

/** A server on loopback whose handlers are asked in turn; 404 when none answers. */
export async function createServerOf(...handlers: readonly Handler[]): Promise<TestServer> {
  const requests: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    authorizations.push(request.headers.authorization);
    void (async () => {
      for (const handle of handlers) if (await handle(request, response)) return;
      response.writeHead(404, { "content-type": "application/json" });
      response.end('{"errors":[{"code":"UNKNOWN","message":"no such thing"}]}');
    })();
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    authorizations,
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

/** Serves an image as `repository:latest` and by its digests, ranges included. */
export function serveImage(image: TestImage, repository = "a"): Handler {
  return ({ method, url = "", headers }, response) => {
    const match = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/u.exec(url);
    if (match?.[1] !== repository) return false;
    const [, , kind, name = ""] = match;
    const isManifest = kind === "manifests" && (name === "latest" || name === image.manifestDigest);
    const bytes = isManifest ? image.manifest : image.blobs.get(name);
    if (bytes === undefined) return false;
    const from = Number(/^bytes=(\d+)-$/u.exec(headers.range ?? "")?.[1] ?? 0);
    response.writeHead(from === 0 ? 200 : 206, {
      "content-type": isManifest ? MANIFEST_TYPE : "application/octet-stream",
      "content-length": bytes.length - from,
      ...(isManifest ? { "docker-content-digest": image.manifestDigest } : {}),
      ...(from === 0 ? {} : { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
    });
    response.end(method === "HEAD" ? undefined : bytes.subarray(from));
    return true;
  };
}

/** Each look at it is a tenth of a second after the last. Waits are over at once and only counted; a stall is when the test says. */
export class QuickClock implements Clock {
  /** The waits between attempts, milliseconds. */
  readonly waits: number[] = [];
  readonly #stalls = new Set<() => void>();
  #now = Date.parse("2026-01-01T00:00:00Z");

  now(): number {
    this.#now += 100;
    return this.#now;
  }

  after(ms: number, wake: () => void): () => void {
    if (ms === STALL_MS) {
      this.#stalls.add(wake);
      return () => void this.#stalls.delete(wake);
    }
    this.waits.push(ms);
    this.#now += ms;
    const timer = setImmediate(wake);
    return () => clearImmediate(timer);
  }

  /** How many exchanges are watched. */
  get watched(): number {
    return this.#stalls.size;
  }

  /** Whoever waits for the other side has waited long enough. */
  stall(): void {
    for (const wake of this.#stalls) wake();
  }

  advance(ms: number): void {
    this.#now += ms;
  }
}

export interface TestPuller {
  readonly store: BlobStore;
  readonly clock: QuickClock;
  readonly events: ProgressEvent[];
  readonly pull: (reference: string, options?: Partial<PullOptions>) => Promise<OciImage>;
}

export interface TestPullerOptions {
  readonly registries?: Registries;
  readonly env?: Readonly<Record<string, string>>;
  readonly certsDirs?: readonly string[];
}

/** A puller into `dir`, in an environment of its own. */
export function createPuller(dir: string, options: TestPullerOptions = {}): TestPuller {
  const store = new BlobStore(join(dir, "blobs"));
  const clock = new QuickClock();
  const events: ProgressEvent[] = [];
  const puller = new RegistryPuller({
    store,
    clock,
    registries: options.registries ?? {},
    trust: { certsDirs: options.certsDirs ?? [] },
    env: { PATH: process.env["PATH"], HOME: dir, ...options.env },
  });
  return {
    store,
    clock,
    events,
    pull: async (reference, pullOptions = {}) =>
      await puller.pull(reference, {
        signal: new AbortController().signal,
        onProgress: (event) => events.push(event),
        ...pullOptions,
      }),
  };
}

/** Settings that make each of the hosts speak plain HTTP, without a try of TLS before. */
export function plainHttp(...hosts: readonly string[]): Registries {
  return Object.fromEntries(hosts.map((host) => [host, { mirrors: [], insecure: true, ca: undefined }]));
}

/** Answers what ends with `path`, with whatever `answer` does. */
export function at(
  path: string,
  answer: (response: ServerResponse, range: string | undefined) => void,
): Handler {
  return ({ url = "", headers }, response) => {
    if (!url.endsWith(path)) return false;
    answer(response, headers.range);
    return true;
  };
}

/** An answer. */
export function sends(
  body: Buffer | string,
  headers: Readonly<Record<string, string>> = {},
  status = 200,
): (response: ServerResponse) => void {
  return (response: ServerResponse): void => {
    response.writeHead(status, headers);
    response.end(body);
  };
}

/** The names of the files below a directory, in order. */
export async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort();
}
