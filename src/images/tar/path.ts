/** Names in a tar, made safe: no name that this returns leaves the root or means two things. */
import { type ByteString, refusedEntry } from "./entry.ts";
import { type ImageLimits, limitError } from "./limits.ts";

/** NAME_MAX of the kernel, and what squashfs can hold. */
const MAX_COMPONENT_BYTES = 255;

/**
 * The path below the root: components joined by single slashes, empty for the root itself. An absolute name is taken from
 * the root, as everybody does who unpacks layers. Errors: `invalid_argument` (empty, with "..", too long, with a NUL).
 */
export function cleanPath(
  name: ByteString,
  { entry, limits }: { readonly entry: ByteString; readonly limits: ImageLimits },
): ByteString {
  if (name === "") throw refusedEntry(entry, "a name is empty");
  if (name.length > limits.maxPathBytes) {
    throw limitError("maxPathBytes", limits.maxPathBytes, "the image has a name with more bytes than");
  }
  if (name.includes("\0")) throw refusedEntry(entry, "a name is malformed");
  const parts = name.split("/");
  const clean = parts.filter((part) => part !== "" && part !== ".");
  if (clean.includes("..")) throw refusedEntry(entry, 'a name holds ".."');
  if (clean.some((part) => part.length > MAX_COMPONENT_BYTES))
    throw refusedEntry(entry, "a name is too long");
  return clean.length === parts.length ? name : clean.join("/");
}
