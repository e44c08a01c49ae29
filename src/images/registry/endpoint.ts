/** Where a repository can be read from: the registry's mirrors, then the registry itself. */
import { BangerError } from "../../model/errors.ts";
import { DEFAULT_REGISTRY, type ImageReference } from "../../model/image-reference.ts";
import { NO_SETTINGS, type Registries, type RegistrySettings, splitMirror } from "../../model/registries.ts";
import { isNotTls } from "./fetch-error.ts";
import type { Http } from "./http.ts";
import { isLoopback } from "./proxy.ts";

export interface Endpoint {
  /** Its name, which settings and credentials are kept under. */
  readonly registry: string;
  /** The repository's name there. */
  readonly repository: string;
  readonly settings: RegistrySettings;
}

/** Docker's registry has its API under another name than its images. */
const API_HOSTS: Readonly<Record<string, string>> = { [DEFAULT_REGISTRY]: "registry-1.docker.io" };

/** In the order in which they are asked. */
export function listEndpoints(
  { registry, repository }: ImageReference,
  registries: Registries,
): readonly [Endpoint, ...Endpoint[]] {
  const own: Endpoint = { registry, repository, settings: settingsOf(registry, registries) };
  const mirrors = own.settings.mirrors.map((mirror): Endpoint => {
    const { registry: host, prefix } = splitMirror(mirror);
    const name = host.toLowerCase();
    return { registry: name, repository: `${prefix}${repository}`, settings: settingsOf(name, registries) };
  });
  const [first, ...rest] = [...mirrors, own];
  return first === undefined ? [own] : [first, ...rest];
}

/**
 * The root of its API. A host that is this one and has no settings may speak plain HTTP; whether it does is tried. Errors:
 * those of `Http.send`.
 */
export async function findApiRoot(
  { registry, settings }: Endpoint,
  http: Http,
  exchange: { readonly ca: readonly string[] | undefined; readonly signal: AbortSignal },
): Promise<URL> {
  const host = API_HOSTS[registry] ?? registry;
  const secure = new URL(`https://${host}/v2/`);
  const plain = new URL(`http://${host}/v2/`);
  if (settings.insecure === true) return plain;
  if (settings.insecure === false || !isLoopback(secure.hostname)) return secure;
  try {
    using _ = await http.send({ ...exchange, url: secure, headers: {} });
    return secure;
  } catch (error) {
    if (error instanceof BangerError && isNotTls(error)) return plain;
    throw error;
  }
}

function settingsOf(registry: string, registries: Registries): RegistrySettings {
  return (Object.hasOwn(registries, registry) ? registries[registry] : undefined) ?? NO_SETTINGS;
}
