/** Git repositories that tests make, and what must not change of them. */
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ENV = {
  PATH: process.env["PATH"] ?? "",
  HOME: "/nonexistent",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.com",
  GIT_ALLOW_PROTOCOL: "file",
  LC_ALL: "C",
};

/** Runs git in `directory`; returns its output without the last newline. */
export function git(directory: string, ...args: readonly string[]): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync(["git", ...args], { cwd: directory, env: ENV });
  if (exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${stderr.toString()}`);
  return stdout.toString().replace(/\n$/, "");
}

/** Writes files; directories are made. */
export function put(directory: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
}

/** A repository with one commit of `files`. */
export function createRepository(
  directory: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): void {
  mkdirSync(directory, { recursive: true });
  git(directory, "init", "-q", "-b", "main");
  git(directory, "config", "user.name", "Ann Author");
  git(directory, "config", "user.email", "ann@example.com");
  put(directory, files);
  git(directory, "add", "-A");
  git(directory, "commit", "-q", "-m", "first");
}

/** A hash of everything below a directory: names, kinds, modes, contents, times; the `.git` included, unless `workTree` only. */
export function hashTree(
  directory: string,
  { workTree = false }: { readonly workTree?: boolean } = {},
): string {
  const hash = createHash("sha256");
  const walk = (path: Buffer): void => {
    if (workTree && path.toString("latin1").endsWith("/.git")) return;
    const status = lstatSync(path, { bigint: true });
    const what = status.isFile() ? readFileSync(path) : status.isSymbolicLink() ? readlinkSync(path) : "";
    // git touches objects that it would have written again, so that nobody prunes them.
    const time = /\/\.git\/(?:modules\/.*)?objects\//.test(path.toString("latin1")) ? "" : status.mtimeNs;
    hash.update(path).update(`\0${status.mode} ${time}\0`).update(what);
    if (!status.isDirectory()) return;
    for (const name of readdirSync(path, { encoding: "buffer" }).toSorted((a, b) => Buffer.compare(a, b))) {
      walk(Buffer.concat([path, Buffer.from("/"), name]));
    }
  };
  walk(Buffer.from(directory));
  return hash.digest("hex");
}
