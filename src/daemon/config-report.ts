/** The configuration as the API tells it: what the daemon obeys, and whether the file says something else by now. */
import type { ConfigReport } from "../api/types/host.ts";
import type { LoadedConfig } from "../host/config.ts";
import { readConfigFile } from "../host/config-file.ts";
import type { Config } from "../model/config.ts";
import { CONFIG_PROPERTIES, keyOf, showValue, variableOf } from "../model/config-lookup.ts";
import { BangerError } from "../model/errors.ts";

/** `check` loads the configuration that a daemon would have that started now. */
export function reportConfig(loaded: LoadedConfig, check: () => unknown): ConfigReport {
  return {
    path: loaded.path,
    exists: loaded.hash !== undefined,
    ...fileNow(loaded, check),
    settings: CONFIG_PROPERTIES.map((property) => settingOf(loaded, property)),
  };
}

function settingOf(
  { values, origins }: LoadedConfig,
  property: keyof Config,
): ConfigReport["settings"][number] {
  const { path, description } = keyOf(property);
  return {
    key: path,
    value: showValue(property, values),
    origin: origins[property],
    variable: variableOf(path),
    description,
  };
}

function fileNow(
  loaded: LoadedConfig,
  check: () => unknown,
): { changed: boolean; problem?: string | undefined } {
  try {
    if (readConfigFile(loaded.path)?.hash === loaded.hash) return { changed: false };
    check();
    return { changed: true };
  } catch (error) {
    return { changed: true, problem: BangerError.from(error).message };
  }
}
