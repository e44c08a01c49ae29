/**
 * References to images in registries, read as Docker reads them: `debian` is `docker.io/library/debian:latest`. The
 * grammar is that of https://pkg.go.dev/github.com/distribution/reference.
 */
import { type Digest, isDigest } from "./digest.ts";
import { BangerError } from "./errors.ts";
import { quote } from "./names.ts";

export interface ImageReference {
  /** The name of the registry, with its port where one was written: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly registry: string;
  /** `library/debian`. */
  readonly repository: string;
  /** Undefined only where there is a digest. A digest goes before it. */
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

/** The registry of names that name none. */
export const DEFAULT_REGISTRY = "docker.io";
const DEFAULT_TAG = "latest";

/** Bytes of registry and repository together. */
const MAX_NAME = 255;

const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
const REGISTRY = new RegExp(
  `^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:.]{2,45}\\])(?::([0-9]{1,5}))?$`,
  "u",
);
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/u;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/u;

/** What an import may be called. */
const LOCAL_NAME = /^[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$/;

/**
 * The name of an image: one that an import gave it, one of the catalog, or a reference to a registry. Whether there is such an
 * image is not looked at. Errors: `invalid_argument`.
 */
export function validateImageName(name: string): string {
  if (!LOCAL_NAME.test(name)) parseImageReference(name);
  return name;
}

/** Longer than any valid name of an image. */
export const MAX_IMAGE_NAME = 600;

/**
 * Reads `[registry[:port]/]path[:tag][@digest]`. What stands before the first slash is a registry when it has a dot or a
 * colon, or is `localhost`. Errors: `invalid_argument`, saying which part is wrong.
 */
export function parseImageReference(text: string): ImageReference {
  const [beforeDigest = "", digest, ...more] = text.split("@");
  if (more.length > 0) throw invalid(text, "it has more than one '@'");
  if (digest !== undefined && !isDigest(digest)) {
    throw invalid(text, "what follows '@' is not sha256: and 64 hex digits in lower case");
  }
  const { name, tag } = splitTag(beforeDigest);
  if (tag !== undefined && !TAG.test(tag)) {
    throw invalid(
      text,
      "a tag is 1 to 128 letters, digits, '_', '.' and '-', and begins with neither '.' nor '-'",
    );
  }
  if (name === "") throw invalid(text, "it has no name");
  if (name.length > MAX_NAME) throw invalid(text, `a name has at most ${MAX_NAME} characters`);
  return {
    ...splitRegistry(text, name),
    tag: tag ?? (digest === undefined ? DEFAULT_TAG : undefined),
    digest,
  };
}

/** The same reference in full, always read the same again. */
export function showImageReference({ registry, repository, tag, digest }: ImageReference): string {
  return `${registry}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** Checks `host[:port]`. Errors: `invalid_argument`. */
export function validateRegistry(text: string): string {
  if (isRegistry(text)) return text;
  throw new BangerError("invalid_argument", `${quote(text)} is not the name of a registry`, {
    cure: 'write host or host:port, such as "localhost:5000"',
  });
}

/** Checks the part of a reference that follows the registry. */
export function isRepository(text: string): boolean {
  return text.length <= MAX_NAME && text.split("/").every((component) => COMPONENT.test(component));
}

/** A colon after the last slash is a tag's; one before it a port's. */
function splitTag(text: string): { readonly name: string; readonly tag: string | undefined } {
  const at = text.lastIndexOf(":");
  if (at <= text.lastIndexOf("/")) return { name: text, tag: undefined };
  return { name: text.slice(0, at), tag: text.slice(at + 1) };
}

function splitRegistry(
  text: string,
  name: string,
): { readonly registry: string; readonly repository: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const named = /[.:]/u.test(first) || first.toLowerCase() === "localhost";
  if (named && !isRegistry(first)) throw invalid(text, `${quote(first)} is not the name of a registry`);
  const registry =
    !named || first.toLowerCase() === "index.docker.io" ? DEFAULT_REGISTRY : first.toLowerCase();
  const path = named ? name.slice(slash + 1) : name;
  const repository = registry === DEFAULT_REGISTRY && !path.includes("/") ? `library/${path}` : path;
  const wrong = repository.split("/").find((component) => !COMPONENT.test(component));
  if (wrong !== undefined) {
    throw invalid(
      text,
      wrong === ""
        ? "a part of its path is empty"
        : `${quote(wrong)} is not a-z and 0-9 with single '.', '_', '__' or '-' between them`,
    );
  }
  // Such a name would be taken for an id.
  if (!path.includes("/") && /^[0-9a-f]{64}$/u.test(path))
    throw invalid(text, "64 hex digits are an id, not a name");
  return { registry, repository };
}

function isRegistry(text: string): boolean {
  const match = REGISTRY.exec(text);
  if (match === null || text.length > MAX_NAME) return false;
  const port = match[1] === undefined ? 443 : Number(match[1]);
  return port >= 1 && port <= 65_535;
}

function invalid(text: string, why: string): BangerError {
  return new BangerError("invalid_argument", `the image name ${quote(text)} is not valid: ${why}`, {
    cure: "write it as name, name:tag, or registry/path:tag, such as ghcr.io/some/thing:1.2",
    details: { field: "image" },
  });
}
