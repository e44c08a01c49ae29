/** `image import` and `image export`: images as tars, from and to files and pipes. */
import { mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { publishFile } from "../../lib/publish.ts";
import { runProgram, startProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import { validateImageName } from "../../model/image-reference.ts";
import type { CliContext } from "../context.ts";
import { interruptible } from "../interrupt.ts";
import { stdout } from "../output.ts";
import { type LongFlags, runLong } from "./long.ts";

export function defineImageImport(image: Command, ctx: CliContext): void {
  image
    .command("import")
    .description("make an image of docker save, of an OCI layout, or of a root file system tar")
    .argument("<name>", "the image's name")
    .argument("<tar>", "a tar file, plain or compressed with gzip, xz or zstd; - reads stdin")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .addHelpText(
      "after",
      "\nExamples:\n  docker save app | banger image import app -\n  banger image import base rootfs.tar.zst",
    )
    .action(async (name: string, tar: string, flags: LongFlags) => {
      validateImageName(name);
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        await using source = tar === "-" ? await pipeOfStdin() : await fileAt(resolve(tar));
        const result = await client.importImage({ name, path: source.path }, options);
        return { result, line: `${result.name} ${result.digest}` };
      });
    });
}

export function defineImageExport(image: Command, ctx: CliContext): void {
  image
    .command("export")
    .description("write an image as a tar")
    .argument("<name>", "the image's name")
    .argument("<tar>", "the file to make, which must not exist; - writes to stdout")
    .addOption(
      new Option("--format <format>", "oci: a layout, which docker load takes too; rootfs: its files")
        .choices(["oci", "rootfs"])
        .default("oci"),
    )
    .addHelpText(
      "after",
      "\nExamples:\n  banger image export app app.tar\n  banger image export app - | docker load",
    )
    .action(async (name: string, tar: string, { format }: { format: "oci" | "rootfs" }) => {
      validateImageName(name);
      if (tar === "-" && stdout().isTTY) throw terminal("stdout", "name a file, or write into a pipe");
      const client = await ctx.client();
      await interruptible(async (signal) => {
        const chunks = await client.exportImage(name, { format, signal });
        if (tar === "-") return await ctx.writeAll(chunks);
        await publishFile(resolve(tar), async (path) => {
          await using file = await open(path, "wx", 0o644);
          for await (const chunk of chunks) await file.appendFile(chunk);
        });
      });
    });
}

interface Source extends AsyncDisposable {
  /** What the daemon opens. */
  readonly path: string;
}

/** Only the pipe below is read by the daemon: it cannot open `/dev/fd/63`, and would wait for a pipe that nobody writes to. */
async function fileAt(path: string): Promise<Source> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && !found.isFile()) {
    throw new BangerError("invalid_argument", `${path} is not a file`, {
      cure: `a pipe goes in by stdin: cat ${path} | banger image import NAME -`,
    });
  }
  return { path, [Symbol.asyncDispose]: async () => undefined };
}

/** A named pipe into which stdin is passed on by a program of its own, so that no byte goes through this process. */
async function pipeOfStdin(): Promise<Source> {
  if (process.stdin.isTTY) throw terminal("stdin", "name a file, or pipe an archive into the command");
  const dir = await mkdtemp(join(tmpdir(), "banger-import-"));
  const path = join(dir, "stdin");
  try {
    await runProgram(["mkfifo", "-m", "0600", path]);
  } catch (error) {
    await rm(dir, { recursive: true });
    throw error;
  }
  const feeder = startProgram(["sh", "-c", 'exec cat > "$1"', "sh", path], { stdin: 0 });
  return {
    path,
    async [Symbol.asyncDispose]() {
      // It waits for ever where the daemon refused before it opened the pipe.
      await feeder.stop();
      await rm(dir, { recursive: true });
    },
  };
}

function terminal(stream: string, cure: string): BangerError {
  return new BangerError("invalid_argument", `${stream} is a terminal, and a tar is no text`, {
    cure,
    details: { field: "tar" },
  });
}
