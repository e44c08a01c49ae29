/** The catalog's `debian-dev`, built once by the program itself and kept beside the other prepared files. */
import { cpSync, existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { copyFile, link, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Glob } from "bun";
import { ImageBlobs } from "../../src/images/blobs.ts";
import { openStore } from "../../src/store/store.ts";
import { runBanger } from "./real-home.ts";

const DIR = join(import.meta.dir, "../../node_modules/.cache/banger-test-dev");

/** Puts it into a home whose daemon has not been started yet, which is then called `debian-dev` there. */
export async function addDevImage(home: string): Promise<void> {
  if (!existsSync(DIR)) await prepare();
  for (const path of new Glob("images/**/*").scanSync({ cwd: DIR, onlyFiles: true })) {
    const target = join(home, path);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    // Another file system (EXDEV) takes a copy.
    await link(join(DIR, path), target).catch(async () => await copyFile(join(DIR, path), target));
  }
  const blobs = new ImageBlobs(join(home, "images"));
  using store = openStore(join(home, "state.db"));
  for (const digest of await new ImageBlobs(join(DIR, "images")).list()) {
    const image = await blobs.read(digest);
    store.images.upsert({ ...image, name: "debian-dev", createdAt: image.createdAtMs });
  }
}

async function prepare(): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "banger-vm-"));
  try {
    for (const args of [
      ["image", "pull", "-q", "debian-dev"],
      ["daemon", "stop"],
    ]) {
      const { code, stderr } = await runBanger(home, args);
      if (code !== 0) throw new Error(`preparing debian-dev failed: banger ${args.join(" ")}: ${stderr}`);
    }
    const aside = `${DIR}.new`;
    rmSync(aside, { recursive: true, force: true });
    cpSync(join(home, "images"), join(aside, "images"), { recursive: true });
    renameSync(aside, DIR);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
