/** Builds the single-file binary, dist/banger or where the argument says: command line, daemon, SDK, catalog and guest agent inside. */
import { chmodSync, mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const ROOT = join(import.meta.dir, "..");
const OUT = resolve(process.argv[2] ?? join(ROOT, "dist/banger"));

/** The same sources are the same build: command line and daemon compare what they are made of. */
function buildId(): string {
  const hash = new Bun.CryptoHasher("sha256");
  const files = ["package.json", "package-lock.json", "agent/Cargo.lock"];
  for (const pattern of ["src/**/*", "agent/src/**/*"])
    files.push(...new Bun.Glob(pattern).scanSync({ cwd: ROOT }));
  for (const file of files.filter((name) => !name.endsWith(".test.ts")).toSorted())
    hash.update(`${file}\n`).update(readFileSync(join(ROOT, file)));
  return hash.digest("hex").slice(0, 12);
}

mkdirSync(dirname(OUT), { recursive: true });
const child = Bun.spawn(
  [
    process.execPath,
    "build",
    "--compile",
    "--minify",
    "--bytecode",
    // Each lazily imported part becomes a chunk of its own, so that `version` does not load the daemon.
    "--splitting",
    // Whatever directory banger is called in, its bunfig.toml and .env are not ours: they could run code or set variables.
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    // Compiled parts that ssh2 could use and does without: they are not installed, and are looked for inside the binary only.
    "--external=*.node",
    "--format=esm",
    "--target=bun-linux-x64",
    `--define=BANGER_BUILD=${JSON.stringify(buildId())}`,
    `--outfile=${OUT}.new`,
    join(ROOT, "src/main.ts"),
  ],
  { cwd: ROOT, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
);
const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
if ((await child.exited) !== 0) {
  console.error(out + err);
  process.exit(1);
}
chmodSync(`${OUT}.new`, 0o755);
// A binary that runs cannot be overwritten; a rename replaces it and leaves the running one alone.
renameSync(`${OUT}.new`, OUT);
console.log(`${relative(ROOT, OUT)} ${(statSync(OUT).size / 2 ** 20).toFixed(0)} MiB`);
