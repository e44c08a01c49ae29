/** Platforms: what an image was built for, which of several builds to take, and what can run here. */
import { BangerError } from "../../model/errors.ts";
import { quote } from "../../model/names.ts";

/** In Go's words, as image-spec has them: `linux`, `amd64`, `v3`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Level of the instruction set; undefined: the lowest. */
  readonly variant?: string | undefined;
}

/** Node's names of architectures, in Go's words; the guests' kernel and agent are built for these. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Other names that people and programs use. */
const ALIASES: Readonly<Record<string, string>> = { x86_64: "amd64", "x86-64": "amd64", aarch64: "arm64" };

/** The variant that one without a variant means. */
const BASE_VARIANT: Readonly<Record<string, string>> = { amd64: "v1", arm64: "v8" };

const PART = /^[a-z0-9_.-]{1,64}$/u;

/** The platform of guests on this host. */
export function hostPlatform(arch: string = process.arch): Platform {
  return { os: "linux", architecture: ARCHITECTURES[arch] ?? arch };
}

/** Reads `os/architecture[/variant]`, or an architecture alone. Errors: `invalid_argument`. */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split("/");
  const [os = "", architecture = "", variant] = parts.length === 1 ? ["linux", ...parts] : parts;
  if (parts.length > 3 || ![os, architecture, variant ?? "v1"].every((part) => PART.test(part))) {
    throw new BangerError("invalid_argument", `the platform ${quote(text)} is not valid`, {
      cure: `write os/architecture, such as ${showPlatform(hostPlatform())}`,
      details: { field: "platform" },
    });
  }
  return {
    os,
    architecture: ALIASES[architecture] ?? architecture,
    ...(variant === undefined ? {} : { variant }),
  };
}

/**
 * Refuses a platform whose programs guests on this host cannot run; the variant is the user's to know. `of` names what
 * is of that platform. Errors: `unsupported`.
 */
export function validateRunnable(platform: Platform, of: string, host: Platform = hostPlatform()): void {
  if (platform.os === host.os && platform.architecture === host.architecture) return;
  throw new BangerError(
    "unsupported",
    `${of} is ${showPlatform(platform)}, which cannot run here: guests on this host are ${showPlatform(host)}`,
    {
      cure: `use an image for ${showPlatform(host)}`,
      details: { platform: showPlatform(platform), host: showPlatform(host) },
    },
  );
}

/**
 * The best candidate: same system and architecture; of several variants the highest that is not above the wanted one.
 * Where no candidate fits, the first that does not say what it is for. Undefined: none.
 */
export function choosePlatform<T extends { readonly platform: Platform | undefined }>(
  candidates: readonly T[],
  wanted: Platform,
): T | undefined {
  const level = levelOf(wanted);
  const fitting = candidates.filter(
    ({ platform }) =>
      platform?.os === wanted.os &&
      platform.architecture === wanted.architecture &&
      levelOf(platform) <= level,
  );
  const [best] = fitting.toSorted((a, b) => levelOf(b.platform) - levelOf(a.platform));
  return best ?? candidates.find(({ platform }) => platform === undefined);
}

export function showPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join("/");
}

/** 1 for `v1` and for what says nothing on amd64, 8 on arm64. A variant that is no level is above all. */
function levelOf(platform: Platform | undefined): number {
  const variant = platform?.variant || BASE_VARIANT[platform?.architecture ?? ""] || "v0";
  const match = /^v(\d{1,3})$/u.exec(variant);
  return match === null ? Number.POSITIVE_INFINITY : Number(match[1]);
}
