/** Extended attributes in PAX headers: `SCHILY.xattr.NAME`, as star, GNU tar, bsdtar and Go write them. */
import { type ByteString, refusedEntry, type Xattr } from "./entry.ts";
import { type ImageLimits, limitError } from "./limits.ts";
import type { PaxRecords } from "./pax.ts";

const PREFIX = "SCHILY.xattr.";
/** XATTR_NAME_MAX and XATTR_SIZE_MAX of linux/limits.h. */
const MAX_NAME_BYTES = 255;
const MAX_VALUE_BYTES = 65_536;
/** POSIX access control lists: of Go and Docker as attributes, of GNU tar, star and bsdtar as text. */
const ACL = /^SCHILY\.(?:xattr\.system\.posix_acl_|acl\.)(?:access|default)$/u;

export function hasAcl(records: PaxRecords): boolean {
  return records.some(([key, value]) => value !== "" && ACL.test(key));
}

/**
 * Sorted by name; the last value of a name counts, and an empty one takes it away (pax(1); so Go and with it umoci and Docker read it). Left out are the labels of a host's own security policy and NFS's
 * lists, which mean nothing elsewhere, and all others of "system", which squashfs cannot hold. Errors: `invalid_argument`.
 */
export function readXattrs(
  records: PaxRecords,
  { entry, limits }: { readonly entry: ByteString; readonly limits: ImageLimits },
): readonly Xattr[] {
  const found = new Map<ByteString, ByteString>();
  for (const [key, value] of records) {
    if (!key.startsWith(PREFIX)) continue;
    const name = key.slice(PREFIX.length);
    if (name.length > MAX_NAME_BYTES || !/^[^.\0]+\.[^\0]+$/u.test(name)) {
      throw refusedEntry(entry, "it has an extended attribute with an impossible name");
    }
    if (value.length > MAX_VALUE_BYTES)
      throw refusedEntry(entry, "it has an extended attribute that is too large");
    if (name === "security.selinux" || name.startsWith("system.")) continue;
    if (value === "") found.delete(name);
    else found.set(name, value);
  }
  const xattrs = [...found].map(([name, value]) => ({ name, value }));
  const bytes = xattrs.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
  if (bytes > limits.maxXattrBytes) {
    throw limitError(
      "maxXattrBytes",
      limits.maxXattrBytes,
      "the image has extended attributes with more bytes than",
    );
  }
  return xattrs.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
