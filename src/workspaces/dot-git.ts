/** The files of a copy's `.git` beside objects and index: as `git clone` would write them, and nothing that runs anything. */
import { EMPTY } from "./names.ts";
import { readOptional } from "./plan.ts";
import { packedRefs } from "./refs.ts";
import type { SurveyedPart } from "./survey.ts";

export interface SmallFile {
  /** Below `.git/`. */
  readonly name: string;
  readonly content: Buffer;
}

/** Directories that git wants to be there even when they are empty. */
export const GIT_DIRECTORIES: readonly string[] = [
  "",
  "branches",
  "hooks",
  "info",
  "objects",
  "objects/info",
  "objects/pack",
  "refs",
  "refs/heads",
  "refs/tags",
];

export function gitFiles(part: SurveyedPart): SmallFile[] {
  const { repository, refs } = part;
  const { commonDir, gitDir, settings } = repository;
  const head = refs.branch === undefined ? (refs.head ?? "ref: refs/heads/main") : `ref: ${refs.branch}`;
  const file = (name: string, content: Buffer | string): SmallFile[] => {
    const bytes = typeof content === "string" ? Buffer.from(content, "latin1") : content;
    return bytes.length === 0 ? [] : [{ name, content: bytes }];
  };
  const symbolic = refs.all.flatMap(({ name, symbolic: target }) =>
    target === undefined ? [] : file(name, `ref: ${target}\n`),
  );
  return [
    ...file("HEAD", `${head}\n`),
    ...file("config", gitConfig(part)),
    ...file("description", "A copy made by banger.\n"),
    ...file("packed-refs", packedRefs(refs.all)),
    ...symbolic,
    ...file("shallow", refs.shallow.length === 0 ? "" : `${refs.shallow.join("\n")}\n`),
    ...file("info/exclude", readOptional(commonDir, "info/exclude")),
    ...file("info/attributes", readOptional(commonDir, "info/attributes")),
    ...file("info/sparse-checkout", settings.sparse ? readOptional(gitDir, "info/sparse-checkout") : EMPTY),
  ];
}

/** Times of files are all that the host knows of them beforehand, so only these are compared (git-config(1), core.checkStat). */
function gitConfig({ repository: { format, settings } }: SurveyedPart): string {
  const { author, kept, conversion } = settings;
  const isNew = format === "sha256";
  const values: (readonly [string, string])[] = [
    ["core.repositoryformatversion", isNew ? "1" : "0"],
    ["core.filemode", "true"],
    ["core.bare", "false"],
    ["core.logallrefupdates", "true"],
    ["core.checkStat", "minimal"],
    ["core.trustctime", "false"],
    ...conversion,
    ...(settings.sparse ? [["core.sparseCheckout", "true"] as const] : []),
    ...(isNew ? [["extensions.objectformat", "sha256"] as const] : []),
    ...(author.name === undefined ? [] : [["user.name", author.name] as const]),
    ...(author.email === undefined ? [] : [["user.email", author.email] as const]),
    ...kept,
  ];
  return values.map(([key, value]) => formatSetting(key, value)).join("");
}

/** One setting with its section, as git-config(1) has the syntax. Latin1 of UTF-8. */
function formatSetting(key: string, value: string): string {
  const [section = "", rest = ""] = key.split(/\.(.*)/s);
  const at = rest.lastIndexOf(".");
  const subsection = at < 0 ? "" : ` "${rest.slice(0, at).replaceAll(/["\\]/g, "\\$&")}"`;
  const quoted = value.replaceAll(/["\\]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\t", "\\t");
  const text = `[${section}${subsection}]\n\t${rest.slice(at + 1)} = "${quoted}"\n`;
  return Buffer.from(text).toString("latin1");
}
