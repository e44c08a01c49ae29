/** Programs of this host in a guest whose image lacks them: with their libraries and the loader of these, so that no version matters. */
import { chmodSync, copyFileSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import type { RealHome } from "./real-home.ts";
import { createScratch } from "./trees.ts";

/** Copies `name` to `/opt/NAME/` of `vm` and returns the words that run it there. Errors: the host has no such program. */
export async function putHostProgram(home: RealHome, vm: string, name: string): Promise<string> {
  const program = Bun.which(name);
  if (program === null) throw new Error(`this host has no ${name}: scripts/test-packages.sh installs it`);
  using scratch = createScratch();
  const directory = scratch.at(name);
  mkdirSync(directory);
  const libraries =
    Bun.spawnSync(["ldd", program])
      .stdout.toString()
      .match(/\/[^ ]+/g) ?? [];
  for (const library of libraries) copyFileSync(library, join(directory, basename(library)));
  const loader = libraries.find((library) => basename(library).startsWith("ld-linux"));
  if (loader === undefined) throw new Error(`${program} has no loader`);
  copyFileSync(program, join(directory, "program"));
  copyFileSync(loader, join(directory, "loader"));
  for (const one of ["program", "loader"]) chmodSync(join(directory, one), 0o755);
  const { code, stderr } = await home.banger(["cp", directory, `${vm}:/opt/${name}`]);
  if (code !== 0) throw new Error(`copying ${name}: ${stderr}`);
  return `/opt/${name}/loader --library-path /opt/${name} /opt/${name}/program`;
}
