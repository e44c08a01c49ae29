/** The images that banger can make by itself, as data, and those that the configuration adds. Nothing here names a mirror. */
import type { CatalogSettings, CatalogTable } from "../model/catalog-settings.ts";
import { BangerError } from "../model/errors.ts";
import type { ImageConfig } from "../model/spec.ts";

/** How to make an image: of Debian's packages, or under another name from a registry. */
export type Recipe =
  | {
      readonly kind: "debian";
      readonly suite: string;
      /** `system`: Debian's own small base below the packages; `files`: nothing but the files of the packages. */
      readonly base: "system" | "files";
      readonly packages: readonly string[];
      /** Scripts for `sh -c`, with the root file system as $1. */
      readonly finish: readonly string[];
      readonly config: ImageConfig;
    }
  | { readonly kind: "reference"; readonly reference: string };

export interface CatalogEntry {
  readonly name: string;
  /** One phrase for a person. */
  readonly description: string;
  readonly recipe: Recipe;
}

const SUITE = "bookworm";

/**
 * Host keys are every machine's own: those that the package made are removed, and made anew at the first start of sshd.
 * `ssh.service` of Debian checks its configuration before it starts, and that needs the keys.
 */
const OWN_HOST_KEYS = `rm -f "$1"/etc/ssh/ssh_host_*
mkdir -p "$1/etc/systemd/system/ssh.service.d"
printf '%s\\n' '[Service]' 'ExecStartPre=' 'ExecStartPre=/usr/bin/ssh-keygen -A' 'ExecStartPre=/usr/sbin/sshd -t' \
  >"$1/etc/systemd/system/ssh.service.d/host-keys.conf"`;

/** Names for all that busybox can do, and the few files that programs look for. */
const BUSYBOX_SYSTEM = `set -e
mkdir -p "$1/bin" "$1/sbin" "$1/usr/bin" "$1/usr/sbin" "$1/etc" "$1/root" "$1/proc" "$1/sys" "$1/dev" "$1/run" "$1/var/tmp"
for path in $("$1/bin/busybox" --list-full); do
  [ -e "$1/$path" ] || [ -L "$1/$path" ] || ln -s /bin/busybox "$1/$path"
done
chmod 0700 "$1/root"
chmod 1777 "$1/var/tmp"
echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
echo 'nobody:x:65534:65534:nobody:/:/bin/false' >>"$1/etc/passwd"
printf 'root:x:0:\\nnogroup:x:65534:\\n' >"$1/etc/group"`;

const BUILT_IN: readonly CatalogEntry[] = [
  {
    name: "debian",
    description: "Debian 12 (bookworm), small, built from Debian's own archive",
    recipe: debian({ packages: [] }),
  },
  {
    name: "debian-dev",
    description: "Debian 12 with systemd, sshd, git and build tools; boots as a whole system",
    recipe: debian({
      packages: [
        "systemd",
        "systemd-sysv",
        "dbus",
        "openssh-server",
        "sudo",
        "git",
        "build-essential",
        "pkg-config",
        "python3",
        "curl",
        "less",
        "vim-tiny",
      ],
      finish: [OWN_HOST_KEYS],
      config: { cmd: ["/sbin/init"] },
    }),
  },
  {
    name: "tiny",
    description: "A shell and the usual tools in 2 MB (busybox), from Debian's own archive",
    recipe: debian({
      base: "files",
      packages: ["busybox-static"],
      finish: [BUSYBOX_SYSTEM],
      config: { cmd: ["/bin/sh"] },
    }),
  },
];

export class Catalog {
  readonly #entries: ReadonlyMap<string, CatalogEntry>;

  /** An entry of the configuration goes before a built-in one of its name. */
  constructor(settings: CatalogSettings = {}) {
    const added = Object.entries(settings).map(([name, table]) => fromSettings(name, table));
    this.#entries = new Map([...BUILT_IN, ...added].map((entry) => [entry.name, entry]));
  }

  list(): readonly CatalogEntry[] {
    return [...this.#entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  names(): readonly string[] {
    return this.list().map((entry) => entry.name);
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** The entry of that name. Errors: `not_found`, naming what there is. */
  get(name: string): CatalogEntry {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    const names = this.names();
    throw new BangerError(
      "not_found",
      `there is no image "${name}" in the catalog; there is: ${names.join(", ")}`,
      {
        cure: `import a root file system: banger image import ${/^[a-z0-9-]{1,63}$/u.test(name) ? name : "NAME"} rootfs.tar`,
        details: { name, available: names },
      },
    );
  }
}

function debian(parts: Partial<Extract<Recipe, { kind: "debian" }>>): Recipe {
  return { kind: "debian", suite: SUITE, base: "system", packages: [], finish: [], config: {}, ...parts };
}

function fromSettings(name: string, table: CatalogTable): CatalogEntry {
  const { description, reference, suite = SUITE, packages = [], command } = table;
  if (reference !== undefined)
    return {
      name,
      description: description ?? reference,
      recipe: { kind: "reference", reference },
    };
  return {
    name,
    description:
      description ?? `Debian ${suite}${packages.length === 0 ? "" : ` with ${packages.join(", ")}`}`,
    recipe: debian({ suite, packages, config: command === undefined ? {} : { cmd: command } }),
  };
}
