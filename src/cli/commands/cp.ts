/** `cp`: files and trees between this host and guests, and between guests. */
import type { Command } from "commander";
import { BangerError } from "../../model/errors.ts";
import { formatBytes, parseSizeBytes } from "../../model/quantities.ts";
import { type CopyOptions, type CopyResult, send } from "../../sdk/files/access.ts";
import { copyBetween } from "../../sdk/files/copy-between.ts";
import type { GuestFiles } from "../../sdk/files/guest-files.ts";
import type { CliContext } from "../context.ts";
import { type CopyPath, parseCopyPath } from "../copy-paths.ts";
import { EXIT } from "../exit-codes.ts";
import { flushOutput, stdout } from "../output.ts";
import { createTransferView } from "../render/transfer.ts";

interface CpFlags {
  readonly archive?: boolean;
  readonly followLink?: boolean;
  readonly maxSize?: string;
}

/** What a guest may send when nobody says otherwise. */
const MAX_BYTES = 2 ** 40;
const MAX_ENTRIES = 5_000_000;

export function defineCp(program: Command, ctx: CliContext): void {
  program
    .command("cp")
    .summary("copy files and trees between this host and VMs")
    .description(
      "Copies a file or a tree between this host and a running VM, or between two VMs. VM:PATH is a path in a VM; - is stdin or " +
        "stdout: a file's content, or the tar archive of a directory. An existing directory is copied into; SRC/. copies what is in " +
        "a directory. A large file that was cut off goes on where it was when the command is repeated.",
    )
    .argument("<src>", "PATH, VM:PATH or -")
    .argument("<dest>", "PATH, VM:PATH or -")
    .option(
      "-a, --archive",
      "keep owners and set-user-ID bits; between VMs also devices and extended attributes",
    )
    .option("-L, --follow-link", "copy what symbolic links point to")
    .option("--max-size <size>", "the most that is taken from a VM", "1T")
    .addHelpText(
      "after",
      `
Examples:
  banger cp app.conf web:/etc/            into a directory of the VM
  banger cp web:/var/log ./logs           a directory of the VM; ./logs is made
  banger cp src/. web:/srv/app            what is in src
  banger cp -a a:/home b:/                from VM to VM, with owners
  echo hello | banger cp - web:/motd      stdin becomes a file
  banger cp web:/etc - | tar t            a directory as a tar archive`,
    )
    .action(async (src: string, dest: string, flags: CpFlags) => {
      const abort = new AbortController();
      const interrupt = (): void => {
        if (abort.signal.aborted) process.exit(EXIT.interrupted);
        abort.abort();
      };
      for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, interrupt);
      let left: number | undefined;
      try {
        const bytes = parseSizeBytes(flags.maxSize ?? String(MAX_BYTES), "--max-size");
        const { notes } = await copy(ctx, [parseCopyPath(src), parseCopyPath(dest)], {
          signal: abort.signal,
          archive: flags.archive === true,
          follow: flags.followLink === true,
          limits: { bytes, entries: MAX_ENTRIES },
          onResumable: (leftBytes) => {
            left = leftBytes;
          },
        });
        if (left !== undefined && left > 0)
          ctx.say(`banger: went on after the ${formatBytes(left)} that an earlier copy had brought`);
        for (const note of notes) ctx.say(`banger: left out: ${note}`);
      } catch (thrown) {
        const error = BangerError.from(thrown);
        if (error.code !== "cancelled" || !abort.signal.aborted) throw explain(error);
        const rest = left === undefined ? "what was complete stays" : "the same command goes on where it was";
        ctx.say(`banger: interrupted; ${rest}`);
        ctx.exitCode = EXIT.interrupted;
      } finally {
        for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, interrupt);
      }
    });
}

async function copy(
  ctx: CliContext,
  [from, to]: readonly [CopyPath, CopyPath],
  wish: CopyOptions,
): Promise<CopyResult> {
  if (from.kind !== "guest" && to.kind !== "guest") {
    throw new BangerError("invalid_argument", "neither of the two is in a VM", {
      cure: "write the one in the VM as VM:PATH",
      details: { field: "path" },
    });
  }
  const client = await ctx.client();
  using view = createTransferView();
  const options: CopyOptions = {
    ...wish,
    onProgress: (moved) => view.add(moved),
    onTotal: (total) => view.total(total),
  };
  if (from.kind === "guest" && to.kind === "guest") {
    const [source, target] = [client.files(from.vm), client.files(to.vm)];
    return await copyBetween({ files: source, path: from.path }, { files: target, path: to.path }, options);
  }
  if (to.kind === "guest") {
    const files = client.files(to.vm);
    if (from.kind === "host") return await files.copyIn(from.path, to.path, options);
    return await copyFromStdin(files, to.path, options);
  }
  if (from.kind !== "guest") throw new BangerError("internal", "a copy without a VM");
  const files = client.files(from.vm);
  if (to.kind === "host") return await files.copyOut(from.path, to.path, options);
  return await copyToStdout(files, from.path, options);
}

/** Into a directory: a tar archive. Anything else: the file's content. */
async function copyFromStdin(files: GuestFiles, path: string, options: CopyOptions): Promise<CopyResult> {
  const { signal, archive = false } = options;
  const target = await files.statIfThere(path, { follow: true, signal });
  const content = stdin(signal);
  if (target?.type !== "directory") {
    if (path.endsWith("/"))
      throw new BangerError("not_found", `there is no directory ${path} in the VM`, {
        cure: "make it first, or leave the slash at its end out",
      });
    const real = target?.path ?? path;
    return { entries: 1, bytes: await files.writeFile(real, content, { signal }), notes: [] };
  }
  const request = {
    type: "tar-in",
    path: target.path ?? path,
    keepOwners: archive,
    special: archive,
  } as const;
  await using stream = files.open(request, { signal });
  return { entries: 1, bytes: await send(stream, content, options.onProgress), notes: [] };
}

async function copyToStdout(files: GuestFiles, path: string, options: CopyOptions): Promise<CopyResult> {
  const { signal, follow = false, archive = false } = options;
  const source = await files.stat(path, { follow: true, signal });
  const name = path.split("/").findLast((part) => part !== "" && part !== ".") ?? ".";
  const request =
    source.type === "directory"
      ? ({
          type: "tar-out",
          paths: [{ path: source.path ?? path, name: path.endsWith("/.") ? "." : name }],
          follow,
          special: archive,
        } as const)
      : ({ type: "read", path } as const);
  await using stream = files.open(request, { signal });
  let bytes = 0;
  for await (const piece of stream.data()) {
    bytes += piece.length;
    if (bytes > (options.limits?.bytes ?? MAX_BYTES)) {
      throw new BangerError("resource_exhausted", "the guest sent more than --max-size allows");
    }
    await writeOut(piece);
  }
  await stream.result;
  await flushOutput();
  return { entries: 1, bytes, notes: [] };
}

async function* stdin(signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  // A terminal or a pipe that says nothing is not waited for once the user has given up.
  const onAbort = (): void => void process.stdin.destroy();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const piece of process.stdin) yield piece as Uint8Array;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

async function writeOut(bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stdout().write(bytes, (error) => {
      if (error === null || error === undefined) resolve();
      // A reader that has gone ends the program, silently, as SIGPIPE would.
      else if ((error as NodeJS.ErrnoException).code === "EPIPE") process.exit(EXIT.readerGone);
      else reject(error);
    });
  });
}

/** What the host's files say, with our codes. */
function explain(error: BangerError): BangerError {
  const { cause } = error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (error.code !== "internal") return error;
  if (code === "ENOENT") return new BangerError("not_found", error.message, { cause });
  return code === "ENOTDIR" || code === "ELOOP" || code === "EISDIR"
    ? new BangerError("failed_precondition", error.message, { cause })
    : error;
}
