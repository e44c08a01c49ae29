/** The images that banger can make by itself, as data. Nothing here names a mirror or a registry. */
import { BangerError } from "../model/errors.ts";

/** How to make an image. */
export interface CatalogEntry {
  readonly name: string;
  /** One phrase for a person. */
  readonly description: string;
  readonly recipe: { readonly kind: "debian"; readonly suite: string };
}

export const CATALOG: readonly CatalogEntry[] = [
  {
    name: "debian",
    description: "Debian 12 (bookworm), small, built from Debian's own archive",
    recipe: { kind: "debian", suite: "bookworm" },
  },
];

export function isInCatalog(name: string): boolean {
  return CATALOG.some((entry) => entry.name === name);
}

/** The entry of that name. Errors: `not_found`, naming what there is. */
export function findCatalogEntry(name: string): CatalogEntry {
  const entry = CATALOG.find((candidate) => candidate.name === name);
  if (entry !== undefined) return entry;
  const names = CATALOG.map((candidate) => candidate.name).join(", ");
  throw new BangerError("not_found", `there is no image "${name}" to pull; there is: ${names}`, {
    cure: `import a root file system: banger image import ${/^[a-z0-9-]{1,63}$/u.test(name) ? name : "NAME"} rootfs.tar`,
    details: { name, available: CATALOG.map((candidate) => candidate.name) },
  });
}
