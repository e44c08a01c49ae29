/** The page docs/config.md, made from the table of keys. */
import type { Config, HostSize } from "./config.ts";
import { CONFIG_PROPERTIES, defaultConfig, keyOf, showValue, variableOf } from "./config-lookup.ts";

const HEAD = `# Configuration

This page is generated from the table of keys in \`src/model/config-keys.ts\`.

The file is \`config.toml\` in the place \`CONFIG\` of [files.md](files.md), such as \`~/.config/banger/config.toml\`. It need not
exist, and has at most 64 KiB. It is [TOML](https://toml.io); sizes read \`512M\` or \`4G\` and a bare number is MiB, durations
read \`500ms\`, \`30s\`, \`5m\`, \`2h\` or \`1d\` and a bare number is seconds.

A flag goes before a \`BANGER_…\` variable, a variable before the file, and the file before the default. An empty variable counts
as none. The daemon reads the file and its own environment when it starts: after a change, \`banger daemon restart\`; running VMs
live on, and the next command starts a daemon that obeys. \`banger run\` and \`banger create\` also look at their own environment
for \`default_image\` and \`vm_defaults\`.

A key that does not exist, a value that is not allowed, and a file that cannot be read or is not TOML keep the daemon from
starting; the error names the line and the cure, and \`banger doctor\` shows it. \`banger config show\` prints every key with its
value and where it came from. There are no secrets in it.
`;

/** The text of docs/config.md. */
export function renderConfigDoc(): string {
  const rows = CONFIG_PROPERTIES.map((property) => {
    const { path, kind, description } = keyOf(property);
    return `| \`${path}\` | \`${variableOf(path)}\` | ${description} | ${kind.allowed} | ${defaultOf(property)} |`;
  });
  return [
    HEAD,
    "## Keys\n",
    "| key | variable | what it does | allowed | default |",
    "|---|---|---|---|---|",
    ...rows,
    "",
    WARM_POOL,
    FILE_SYNC,
    REGISTRIES,
    CATALOG,
    "## Example\n",
    "```toml",
    EXAMPLE,
    "```",
    "",
  ].join("\n");
}

const WARM_POOL = `## warm_pool

Of each image named in \`[warm_pool]\` so many machines are kept that have gone on from its template already and stand still. \`run\`, and a \`create\` that
starts, take one when the VM is to be of the size in \`vm_defaults\` (its disk may be larger) and asks for nothing else of its own but a name and an environment; any
other starts as it does without a pool. Each takes some 25 MiB of the host's memory and an address of the pool, and no processor time. They are made when the daemon
has a second, not while the host has less than twice their memory left, give way to forks that need the memory and VMs that need the address, and end with the
daemon. \`banger template ls\` shows how many are ready.
`;

const FILE_SYNC = `## file_sync

Each \`[[file_sync]]\` names a file of the host, its place in the guest below \`/root\`, and its permissions there (\`mode\`, \`0600\` when
absent). \`~\` is the \`HOME\` of the daemon. At every start the file is copied as it is then, before anything runs in the guest: a
change in the guest is lost, a change on the host arrives with the next start. Missing directories are made, with mode 0700. A
file that is missing on the host is said (\`file_sync: … is missing\`), and the guest starts without it, or with the copy of an
earlier start; one that cannot be read or has more than 16 MiB keeps the guest from starting. In the variable the entries are JSON:
\`BANGER_FILE_SYNC='[{"host":"~/.gitconfig","guest":"/root/.gitconfig","mode":"0644"}]'\`.
`;

const REGISTRIES = `## registries

Each \`[registries."HOST"]\` names a registry as it stands in the names of images, with its port where it has one: \`docker.io\`,
\`localhost:5000\`.

- \`mirrors\`: other registries that are asked first, in this order, each \`host\`, \`host:port\` or \`host/path\`. One that does not answer
  or does not have the image is passed over; what comes from it is checked like everything else. A mirror that needs settings of its
  own has a table of its own.
- \`insecure = true\`: plain HTTP. Without it a registry is spoken to by TLS only, except that one on this host (\`localhost\`,
  \`127.…\`, \`[::1]\`) may speak plain HTTP.
- \`ca\`: the absolute path of a file of certificates in PEM that are trusted beside the system's. So are the \`*.crt\` files in
  \`CONFIG/certs.d/HOST/\`, \`/etc/containers/certs.d/HOST/\` and \`/etc/docker/certs.d/HOST/\`. \`SSL_CERT_FILE\` goes before the system's.

Who you are at a registry comes from Docker's own \`config.json\` (in \`DOCKER_CONFIG\`, else \`~/.docker\`), with the credential helpers that it
names: log in with \`docker login HOST\`, or \`skopeo login --authfile ~/.docker/config.json HOST\`. \`HTTPS_PROXY\`, \`HTTP_PROXY\`, \`ALL_PROXY\` and
\`NO_PROXY\` of the daemon's environment are obeyed.
`;

const CATALOG = `## catalog

Each \`[catalog.NAME]\` is an image that \`image pull NAME\` and \`run --image NAME\` make; \`image ls --available\` lists them with the built-in
ones, and one of the same name goes before those.

- \`packages\`: Debian packages beside those of the small base system, built like \`debian\` itself; \`suite\`: the release, \`bookworm\` when
  absent; \`command\`: what the image runs, such as \`["/sbin/init"]\`.
- \`reference\`, instead of these: an image of a registry, under a name of your own.
- \`description\`: one line for the list.
`;

const EXAMPLE = `log_level = "debug"
auto_stop_after = "2h"

[vm_defaults]
vcpus = 2
memory = "4G"

[vmm.qemu]
accelerator = "kvm"

[warm_pool]
debian = 2

[[file_sync]]
host = "~/.gitconfig"
guest = "/root/.gitconfig"
mode = "0644"

[registries."docker.io"]
mirrors = ["mirror.example:5000"]

[registries."mirror.example:5000"]
ca = "/etc/ssl/our-ca.pem"

[catalog.web]
packages = ["nginx"]`;

/** Any host: what is shown does not depend on it. */
const SOME_HOST: HostSize = { cores: 4, memoryMib: 16_384 };

function defaultOf(property: keyof Config): string {
  return keyOf(property).defaultWords ?? `\`${showValue(property, defaultConfig(SOME_HOST))}\``;
}
