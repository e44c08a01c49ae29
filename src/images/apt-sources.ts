/**
 * Reads a host's apt sources (sources.list(5): the deb822 and the one-line form) to find out where it gets a
 * Debian suite from, so that an image can be built from the same place.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** One place that packages come from. */
export interface AptSource {
  readonly uri: string;
  /** `bookworm`, `bookworm-updates` or `bookworm-security`. */
  readonly suite: string;
  /**
   * Paths of keyrings, or undefined for apt's own. Embedded keys are not understood and leave the source out.
   */
  readonly signedBy: string | undefined;
}

/**
 * The `main` sources of a suite with its updates and security fixes that stand under an `etc/apt` directory.
 * Empty when the suite itself is not among them. Unreadable and missing files count as empty; sources with a
 * user name in the URI are left out, because they would carry a secret into the image.
 */
export async function readAptSources(etcAptDir: string, suite: string): Promise<AptSource[]> {
  const wanted = [suite, `${suite}-updates`, `${suite}-security`];
  const found = [
    ...parseOneLine((await readTextIfThere(join(etcAptDir, "sources.list"))) ?? ""),
    ...(await readSourceParts(join(etcAptDir, "sources.list.d"))),
  ];
  const seen = new Set<string>();
  const sources = found.filter((source) => {
    const key = `${source.uri} ${source.suite}`;
    const usable = wanted.includes(source.suite) && isPlainUri(source.uri) && !seen.has(key);
    if (usable) seen.add(key);
    return usable;
  });
  return sources.some((source) => source.suite === suite) ? sources : [];
}

/** The sources in the deb822 form, as the text of a `.sources` file. */
export function renderAptSources(sources: readonly AptSource[]): string {
  const stanzas = sources.map((source) => {
    const signedBy = source.signedBy === undefined ? "" : `Signed-By: ${source.signedBy}\n`;
    return `Types: deb\nURIs: ${source.uri}\nSuites: ${source.suite}\nComponents: main\n${signedBy}`;
  });
  return stanzas.join("\n");
}

async function readSourceParts(dir: string): Promise<AptSource[]> {
  const names = await readdir(dir).catch(nothingThere);
  const sources: AptSource[] = [];
  for (const name of (names ?? []).toSorted()) {
    const parse = name.endsWith(".sources") ? parseDeb822 : name.endsWith(".list") ? parseOneLine : undefined;
    if (parse === undefined) continue;
    sources.push(...parse((await readTextIfThere(join(dir, name))) ?? ""));
  }
  return sources;
}

/** Stanzas of `Field: value` lines with continuations; fields are lists separated by spaces. */
export function parseDeb822(text: string): AptSource[] {
  return text.split(/\n\s*\n/u).flatMap((stanza) => {
    const fields = new Map<string, string>();
    let last = "";
    for (const line of stanza.split("\n")) {
      if (line.startsWith("#")) continue;
      const field = /^([A-Za-z0-9-]+):(.*)$/u.exec(line);
      if (field?.[1] !== undefined) {
        last = field[1].toLowerCase();
        fields.set(last, (field[2] ?? "").trim());
      } else if (/^\s/u.test(line)) {
        fields.set(last, `${fields.get(last) ?? ""}\n${line.trim()}`);
      }
    }
    const list = (name: string): string[] =>
      (fields.get(name) ?? "").split(/\s+/u).filter((word) => word !== "");
    if (/^(no|false|off|0|without|disable)$/iu.test(fields.get("enabled") ?? "yes")) return [];
    if (!list("types").includes("deb") || !list("components").includes("main")) return [];
    const signedBy = fields.get("signed-by");
    if (signedBy?.includes("\n") === true) return [];
    return list("uris").flatMap((uri) => list("suites").map((suite) => ({ uri, suite, signedBy })));
  });
}

/** Lines of `deb [ option=value … ] uri suite component…`. */
export function parseOneLine(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/u.exec(line);
    if (match === null) return [];
    const [, options = "", uri = "", suite = "", components = ""] = match;
    if (!components.trim().split(/\s+/u).includes("main")) return [];
    return [{ uri, suite, signedBy: /(?:^|\s)signed-by=(\S+)/iu.exec(options)?.[1] }];
  });
}

function isPlainUri(uri: string): boolean {
  const parsed = URL.parse(uri);
  return (
    parsed !== null && /^https?:$/u.test(parsed.protocol) && parsed.username === "" && parsed.password === ""
  );
}

async function readTextIfThere(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(nothingThere);
}

function nothingThere(error: unknown): undefined {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT" || code === "EACCES" || code === "ENOTDIR") return undefined;
  throw error;
}
