/** `devcontainer.json`: its `postCreateCommand`, and nothing else (https://containers.dev/implementors/json_reference/). */
import { z } from "zod";
import { MAX_SETUP_COMMAND, type SetupStep } from "../../model/bootstrap.ts";
import { BangerError } from "../../model/errors.ts";
import { quote } from "../../model/names.ts";

export const DEVCONTAINER_FILES = [".devcontainer/devcontainer.json", ".devcontainer.json"] as const;

/** Keys that say nothing about a machine. */
const QUIET: ReadonlySet<string> = new Set(["$schema", "name"]);
const MAX_NAMED = 8;

const Document = z.looseObject({});
const NoNul = z.string().refine((text) => !text.includes("\0"));
const Shell = NoNul.refine((text) => text.trim() !== "");
const Argv = z.array(NoNul).min(1);

/** Reads JSON with comments. Errors: `invalid_argument`. */
export function parseDevcontainer(
  bytes: Buffer,
  path: string,
): { readonly steps: readonly SetupStep[]; readonly notes: readonly string[] } {
  const { postCreateCommand: wish, ...rest } = parse(bytes, path);
  const command = commandOf(wish);
  const isOdd = wish !== undefined && command === undefined;
  const ignored = Object.keys(rest).filter((key) => !QUIET.has(key));
  const named = ignored
    .slice(0, MAX_NAMED)
    .map((key) => (/^[A-Za-z0-9._-]{1,40}$/.test(key) ? key : quote(key)));
  const more = ignored.length > named.length ? ` and ${ignored.length - named.length} more` : "";
  return {
    steps: command === undefined ? [] : [{ source: "devcontainer", command }],
    notes: [
      ...(isOdd
        ? [`${path}: postCreateCommand is neither a string nor a list of strings, and is ignored`]
        : []),
      ...(named.length === 0 ? [] : [`${path}: ignored are ${named.join(", ")}${more}`]),
    ],
  };
}

/** A list is a command without a shell, so that each of its words is quoted. */
function commandOf(wish: unknown): string | undefined {
  const shell = Shell.safeParse(wish).data;
  const words = Argv.safeParse(wish).data;
  const command = shell ?? words?.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  return command === undefined || Buffer.byteLength(command) > MAX_SETUP_COMMAND ? undefined : command;
}

function parse(bytes: Buffer, path: string): Record<string, unknown> {
  try {
    return Document.parse(Bun.JSONC.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (error) {
    throw new BangerError("invalid_argument", `${path} of the work tree is no object of JSON with comments`, {
      cure: "correct it, or go without it: --no-bootstrap",
      details: { file: path },
      cause: error,
    });
  }
}
