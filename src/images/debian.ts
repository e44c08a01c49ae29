/**
 * Builds a Debian root file system from Debian's archive with mmdebstrap, without any registry, streamed
 * straight into a squashfs image.
 */
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withTemporaryDirectory } from "../lib/publish.ts";
import { type ProgramEnd, startProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";
import { readAptSources, renderAptSources } from "./apt-sources.ts";
import { debianPrivilegeProblem } from "./debian-privilege.ts";
import { createSquashfs } from "./squashfs.ts";

/**
 * On top of `minbase` (dpkg, apt and what they need): the trust anchors that every HTTPS client wants, and
 * the tools that a person types first on a strange machine.
 */
const EXTRA_PACKAGES = ["ca-certificates", "procps", "iproute2"];

/** What Debian's own "slim" images leave out: documentation and translations. Licences stay. */
const LEFT_OUT = ["doc", "man", "info", "groff", "locale", "lintian", "linda"].map(
  (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
);
const KEPT = ["doc/*/copyright", "locale/locale.alias"].map(
  (name) => `--dpkgopt=path-include=/usr/share/${name}`,
);

/**
 * mmdebstrap copies these from the host; in a guest the agent writes them. Run by a shell with the root as
 * $1.
 */
const FORGET_HOST = 'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"';

/** mmdebstrap unmounts and removes its directory on TERM; that takes longer than ending a plain program. */
const CLEANUP_GRACE_MS = 10_000;

/**
 * Times later than this (bookworm's release) are set back to it, so that the same packages give the same
 * image.
 */
const EPOCH_SECONDS = 1_686_355_200;

export interface DebianOptions {
  /** Such as `bookworm`. */
  readonly suite: string;
  /**
   * Where the host's apt sources are looked up; mmdebstrap's own default mirror is used when the suite is not
   * there.
   */
  readonly etcAptDir: string;
  /** `system`: Debian's small base below the packages (the default); `files`: nothing but the files of the packages. */
  readonly base?: "system" | "files";
  /** Beside those that a system has anyway. */
  readonly packages?: readonly string[];
  /** Scripts for `sh -c`, with the root file system as $1, run when all is in place. */
  readonly finish?: readonly string[];
  readonly onStage?: (stage: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Writes the image to `path`, which must not exist. On failure the caller removes it. Works as root and as an
 * ordinary user that may use user namespaces with subordinate ids. Errors: `unavailable` (mmdebstrap or
 * sqfstar is missing, no privilege, no network; with mmdebstrap's last words), `resource_exhausted`,
 * `cancelled`.
 */
export async function buildDebianRootfs(path: string, options: DebianOptions): Promise<void> {
  const problem = await debianPrivilegeProblem();
  if (problem !== undefined) throw problem;
  // mmdebstrap's own directory holds files of subordinate users, and must be reachable by them: a home often
  // is not.
  await withTemporaryDirectory(join(path, ".."), async (dir) => {
    const sources = await readAptSources(options.etcAptDir, options.suite);
    const sourcesPath = join(dir, "debian.sources");
    await writeFile(sourcesPath, renderAptSources(sources));
    await pipeIntoSquashfs(path, sources.length === 0 ? [] : [sourcesPath], options);
  });
}

async function pipeIntoSquashfs(
  path: string,
  sources: readonly string[],
  options: DebianOptions,
): Promise<void> {
  const report = stageReporter(options.onStage);
  report("preparing the base system");
  const builder = startProgram(
    ["mmdebstrap", ...recipeOptions(options), "--format=tar", options.suite, "-", ...sources],
    {
      stdout: "pipe",
      aptPackage: "mmdebstrap squashfs-tools",
      graceMs: CLEANUP_GRACE_MS,
      env: { SOURCE_DATE_EPOCH: String(EPOCH_SECONDS), TMPDIR: tmpdir() },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      failure: builderFailure,
      onStderrLine: (line) => report(stageFromLine(line)),
    },
  );
  async function* wholeTar(): AsyncGenerator<Uint8Array> {
    if (builder.stdout !== undefined) yield* builder.stdout as AsyncIterable<Uint8Array>;
    // A tar that ends because its maker failed must not become an image.
    await builder.done;
  }
  try {
    await createSquashfs(wholeTar(), path, {
      epochSeconds: EPOCH_SECONDS,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  } finally {
    await builder.stop();
  }
}

/** With `files` nothing of a package is run, and mmdebstrap has no hook after the unpacking but its extract hook. */
function recipeOptions({ base, packages = [], finish = [] }: DebianOptions): string[] {
  if (base === "files") {
    const hooks = [...finish, FORGET_HOST].map((script) => `--extract-hook=${script}`);
    return ["--variant=extract", `--include=${packages.join(",")}`, ...hooks];
  }
  const hooks = [FORGET_HOST, ...finish].map((script) => `--customize-hook=${script}`);
  const include = [...EXTRA_PACKAGES, ...packages].join(",");
  return ["--variant=minbase", `--include=${include}`, ...LEFT_OUT, ...KEPT, ...hooks];
}

/** What mmdebstrap's information lines mean to a person; undefined for the rest. */
export function stageFromLine(line: string): string | undefined {
  const stages: readonly (readonly [RegExp, string])[] = [
    [/^I: running apt-get update/u, "fetching package lists"],
    [/^I: downloading packages with apt/u, "downloading packages"],
    [/^I: extracting archives/u, "unpacking packages"],
    [/^I: installing essential packages/u, "installing essential packages"],
    [/^I: installing remaining packages/u, "installing packages"],
    [/^I: cleaning package lists/u, "cleaning up"],
    [/^I: creating tarball/u, "compressing the root file system"],
  ];
  return stages.find(([pattern]) => pattern.test(line))?.[1];
}

function stageReporter(onStage: ((stage: string) => void) | undefined): (stage: string | undefined) => void {
  let last: string | undefined;
  return (stage) => {
    if (stage === undefined || stage === last) return;
    last = stage;
    onStage?.(stage);
  };
}

function builderFailure(end: ProgramEnd): BangerError {
  const errors = end.stderrTail.split("\n").filter((line) => /^(E|W|Err)\b/u.test(line));
  const words = (errors.length > 0 ? errors : end.stderrTail.split("\n")).slice(-5).join("\n");
  if (/No space left/u.test(end.stderrTail)) {
    return new BangerError("resource_exhausted", `no space left to build the Debian image: ${words}`);
  }
  return new BangerError("unavailable", `cannot build the Debian image: ${words}`, {
    cure: "check that the host can reach its Debian mirror",
    details: { ...end },
  });
}
