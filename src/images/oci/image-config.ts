/**
 * The configuration of an image: https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md. Docker's is the
 * same with more fields.
 */
import { z } from "zod";
import { type Digest, isDigest } from "../../model/digest.ts";
import { checkDocument, parseDocument } from "./document.ts";
import { MAX_LAYERS } from "./manifest.ts";
import type { Platform } from "./platform.ts";

export interface OciImageConfig {
  /** Undefined where the image does not say. */
  readonly platform: Platform | undefined;
  /** Digests of the layers when decompressed, from the lowest up. */
  readonly diffIds: readonly Digest[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** As written: `KEY=VALUE`, and whatever else an image says. */
  readonly env: readonly string[];
  readonly workingDir: string | undefined;
  readonly user: string | undefined;
  /** `80/tcp`, as written. */
  readonly exposedPorts: readonly string[];
  /** Paths, as written. */
  readonly volumes: readonly string[];
  /** `SIGTERM` or a number, as written. */
  readonly stopSignal: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** RFC 3339, as written. */
  readonly created: string | undefined;
}

const MAX_ITEMS = 4096;
const MAX_TEXT = 256 * 1024;
const PATH_MAX = 4096;

const line = (max: number): z.ZodType<string> =>
  z
    .string()
    .max(max)
    .refine((value) => !value.includes("\0"), "has a NUL");
const lines = z
  .array(line(MAX_TEXT))
  .max(MAX_ITEMS)
  .nullish()
  .transform((value) => value ?? []);
const keys = z
  .record(line(PATH_MAX), z.unknown())
  .nullish()
  .transform((value) => Object.keys(value ?? {}))
  .pipe(z.array(z.string()).max(MAX_ITEMS));
/** Empty means absent: Docker writes "" for what nobody set. */
const word = (max: number): z.ZodType<string | undefined> =>
  line(max)
    .nullish()
    .transform((value) => (value === null || value === "" ? undefined : value));

const wireConfig = z.object({
  architecture: word(64),
  os: word(64),
  variant: word(64),
  created: word(64),
  rootfs: z.object({
    type: z.literal("layers"),
    diff_ids: z
      .array(z.custom<Digest>(isDigest, "not a sha256 or sha512 digest"))
      .max(MAX_LAYERS, `more than ${MAX_LAYERS} layers`)
      .nullish(),
  }),
  config: z
    .object({
      Entrypoint: lines,
      Cmd: lines,
      Env: lines,
      WorkingDir: word(PATH_MAX),
      User: word(256),
      ExposedPorts: keys,
      Volumes: keys,
      StopSignal: word(64),
      Labels: z.record(line(PATH_MAX), line(MAX_TEXT)).nullish(),
    })
    .nullish(),
});

/** Errors: `invalid_argument`, naming the field. */
export function parseImageConfig(bytes: Uint8Array): OciImageConfig {
  const what = "the image's configuration";
  const wire = checkDocument(wireConfig, parseDocument(bytes, what), what);
  const { architecture, os, variant, config } = wire;
  return {
    platform: architecture === undefined || os === undefined ? undefined : { os, architecture, variant },
    diffIds: wire.rootfs.diff_ids ?? [],
    entrypoint: config?.Entrypoint ?? [],
    cmd: config?.Cmd ?? [],
    env: config?.Env ?? [],
    workingDir: config?.WorkingDir,
    user: config?.User,
    exposedPorts: config?.ExposedPorts ?? [],
    volumes: config?.Volumes ?? [],
    stopSignal: config?.StopSignal,
    labels: config?.Labels ?? {},
    created: wire.created,
  };
}
