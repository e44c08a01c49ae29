/** From what an OCI image says about itself to what VMs obey. */
import { type ImageConfig, isEnvKey } from "../model/spec.ts";
import type { OciImageConfig } from "./oci/image-config.ts";

/** Entries of the environment that are no `KEY=VALUE` are left out: no program could read them. */
export function configFromOci(config: OciImageConfig): ImageConfig {
  const env = config.env.flatMap((entry): [string, string][] => {
    const at = entry.indexOf("=");
    return at > 0 && isEnvKey(entry.slice(0, at)) ? [[entry.slice(0, at), entry.slice(at + 1)]] : [];
  });
  const { workingDir } = config;
  return {
    ...filled("entrypoint", config.entrypoint),
    ...filled("cmd", config.cmd),
    ...(env.length === 0 ? {} : { env: Object.fromEntries(env) }),
    // A relative one is taken from the root, as container runtimes do.
    ...(workingDir === undefined
      ? {}
      : { workdir: workingDir.startsWith("/") ? workingDir : `/${workingDir}` }),
    ...(config.user === undefined ? {} : { user: config.user }),
    ...filled("exposedPorts", config.exposedPorts),
    ...filled("volumes", config.volumes),
    ...(config.stopSignal === undefined ? {} : { stopSignal: config.stopSignal }),
    ...(Object.keys(config.labels).length === 0 ? {} : { labels: config.labels }),
  };
}

function filled<K extends string>(key: K, values: readonly string[]): { [P in K]?: readonly string[] } {
  return values.length === 0 ? {} : ({ [key]: values } as { [P in K]: readonly string[] });
}
