/** The references of the guest's repository, read from its files and believed only in their shape. */
import { TarReader } from "../lib/tar/reader.ts";
import { BangerError } from "../model/errors.ts";
import type { WorkspaceView } from "./guest-state.ts";
import type { ScannedFile } from "./scan.ts";

export interface GuestRefs {
  /** What is checked out: a branch that may not be there yet, or a commit; undefined when the guest's HEAD is neither. */
  readonly head: { readonly branch?: string; readonly oid?: string } | undefined;
  /** Names, latin1 for bytes, to objects. */
  readonly refs: ReadonlyMap<string, string>;
}

const MAX_REFS = 1_000_000;
const MAX_BYTES = 128 * 2 ** 20;
const OID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

export async function readGuestRefs(
  { record, guest }: WorkspaceView,
  { scanned }: { readonly scanned: readonly ScannedFile[] },
): Promise<GuestRefs> {
  const wanted = scanned.filter(({ kind, name }) => {
    const text = name.toString("latin1");
    return (
      kind === "file" &&
      (text === ".git/HEAD" || text === ".git/packed-refs" || text.startsWith(".git/refs/"))
    );
  });
  const refs = new Map<string, string>();
  const loose = new Map<string, string>();
  let head = "";
  let left = MAX_BYTES;
  for await (const archive of guest.pick(
    record.guestPath,
    wanted.map(({ name }) => name),
  )) {
    const reader = new TarReader(archive);
    for (let member = await reader.next(); member !== undefined; member = await reader.next()) {
      left -= member.size;
      if (left < 0) throw tooMany();
      const name = member.name.toString("latin1");
      if (member.kind !== "file" || !name.startsWith(".git/")) continue;
      const pieces: Buffer[] = [];
      for (let piece = await reader.content(); piece !== undefined; piece = await reader.content()) {
        pieces.push(Buffer.from(piece));
      }
      const text = Buffer.concat(pieces).toString("latin1");
      if (name === ".git/HEAD") head = text.trim();
      else if (name === ".git/packed-refs") readPacked(text, refs);
      else if (isRefName(name.slice(5)) && OID.test(text.trim())) loose.set(name.slice(5), text.trim());
      if (refs.size + loose.size > MAX_REFS) throw tooMany();
    }
  }
  for (const [name, oid] of loose) refs.set(name, oid);
  return { head: parseHead(head), refs };
}

function parseHead(text: string): GuestRefs["head"] {
  if (OID.test(text)) return { oid: text };
  const branch = /^ref: (.+)$/s.exec(text)?.[1];
  return branch !== undefined && isRefName(branch) ? { branch } : undefined;
}

function readPacked(text: string, refs: Map<string, string>): void {
  for (const line of text.split("\n")) {
    const [oid = "", name = ""] = line.split(" ");
    if (OID.test(oid) && isRefName(name)) refs.set(name, oid);
    if (refs.size > MAX_REFS) throw tooMany();
  }
}

/** The rules of git-check-ref-format(1), for names below `refs/`. */
export function isRefName(name: string): boolean {
  if (
    !name.startsWith("refs/") ||
    name.length > 1024 ||
    name.endsWith(".") ||
    name.includes("..") ||
    name.includes("@{")
  )
    return false;
  const isControl = (byte: number): boolean => byte <= 0x20 || byte === 0x7f;
  if (Buffer.from(name, "latin1").some(isControl) || /[~^:?*[\\]/.test(name)) return false;
  return name.split("/").every((part) => part !== "" && !part.startsWith(".") && !part.endsWith(".lock"));
}

function tooMany(): BangerError {
  return new BangerError("resource_exhausted", "the guest's repository has too many references");
}
