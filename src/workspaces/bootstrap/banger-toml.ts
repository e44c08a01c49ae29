/** `banger.toml` at the top of a work tree: a stranger's wishes, checked whole by one schema. */
import { z } from "zod";
import { nearest } from "../../lib/nearest.ts";
import { lineOfKey, parseToml, TomlError } from "../../lib/toml.ts";
import {
  type BootstrapSettings,
  isInputPath,
  MAX_SETUP_COMMAND,
  MAX_SETUP_INPUTS,
  MAX_SETUP_STEPS,
  type ReservedWish,
  type SetupStep,
} from "../../model/bootstrap.ts";
import { BangerError } from "../../model/errors.ts";
import { validateImageName } from "../../model/image-reference.ts";
import { quote } from "../../model/names.ts";
import { MAX_NETWORK_RULES, type NetworkMode, parseNetworkMode } from "../../model/network-policy.ts";
import { type NetworkRule, parseNetworkRule } from "../../model/network-rule.ts";
import {
  MAX_PUBLISHED,
  type PublishedPort,
  parsePublish,
  validatePorts,
} from "../../model/published-port.ts";
import { formatBytes, parseSizeMib } from "../../model/quantities.ts";
import { isEnvKey, SPEC_LIMITS } from "../../model/spec.ts";
import { reservedWishes } from "./reserved.ts";

export const BANGER_TOML = "banger.toml";

const MAX_ENV = 256;
/** The commands name files, too. */
const MAX_INPUTS: number = MAX_SETUP_INPUTS / 2;
/** Finding the line of a mistake parses the text again and again: only in files that a person reads. */
const MAX_LINES = 200;

/** A string as a rule of the model reads it. */
function ruled<T>(rule: (text: string) => T): z.ZodType<T, string> {
  return z.string().transform((text, ctx) => {
    try {
      return rule(text);
    } catch (error) {
      ctx.addIssue({ code: "custom", message: BangerError.from(error).message });
      return z.NEVER;
    }
  });
}

/** A size such as "2G"; a bare number is MiB. */
function sizeMib(range: { readonly min: number; readonly max: number }): z.ZodType<number> {
  const [min, max] = [range.min, range.max].map((mib) => formatBytes(mib * 2 ** 20));
  const parse = (text: string): number => {
    const mib = parseSizeMib(text, "the size");
    if (mib >= range.min && mib <= range.max) return mib;
    throw new BangerError("invalid_argument", `it is not from ${min} to ${max}`);
  };
  return z.preprocess((given) => (typeof given === "number" ? String(given) : given), ruled(parse));
}

const Text = z.string().refine((text) => !text.includes("\0"), "it holds a NUL");
const Command = Text.refine((text) => text.trim() !== "", "it is empty").refine(
  (text) => Buffer.byteLength(text) <= MAX_SETUP_COMMAND,
  `it has more than ${MAX_SETUP_COMMAND} bytes`,
);

const KEYS = {
  image: ruled(validateImageName).optional(),
  vcpus: z.int().min(SPEC_LIMITS.vcpus.min).max(SPEC_LIMITS.vcpus.max).optional(),
  memory: sizeMib(SPEC_LIMITS.memoryMib).optional(),
  disk: sizeMib(SPEC_LIMITS.diskMib).optional(),
  setup: z
    .preprocess(
      (given) => (typeof given === "string" ? [given] : given),
      z.array(Command).max(MAX_SETUP_STEPS - 2),
    )
    .optional(),
  inputs: z
    .array(
      Text.refine(isInputPath, "it is no path below the top of the work tree, such as package-lock.json"),
    )
    .max(MAX_INPUTS)
    .optional(),
  ports: z.array(ruled(parsePublish)).max(MAX_PUBLISHED).optional(),
  network: ruled(parseNetworkMode).optional(),
  allow: z
    .array(ruled((text) => parseNetworkRule(text, "allow")))
    .min(1)
    .max(MAX_NETWORK_RULES)
    .optional(),
  env: z
    .record(z.string().refine(isEnvKey, "it is not a name of letters, digits and '_'"), Text)
    .refine((env) => Object.keys(env).length <= MAX_ENV, `it has more than ${MAX_ENV} entries`)
    .optional(),
};
const Schema = z.strictObject(KEYS);

/**
 * Reads it. What would open something of the host is not among the settings, but reserved for the user; see `reservedWishes`.
 * Errors: `invalid_argument` with key and line.
 */
export function parseBangerToml(bytes: Buffer): {
  readonly settings: BootstrapSettings;
  readonly reserved: readonly ReservedWish[];
  readonly steps: readonly SetupStep[];
  readonly inputs: readonly string[];
} {
  const text = decode(bytes);
  const document = parse(text);
  const { success, data, error } = Schema.safeParse(document);
  if (!success) throw firstFault(error, text);
  const { image, vcpus, memory, disk, setup = [], inputs = [], ports, network, allow, env } = data;
  if (network !== undefined && network !== "allow" && allow !== undefined)
    throw fault(text, ["allow"], `it says nothing in the mode ${network}`);
  if (network === "allow" && allow === undefined)
    throw fault(text, ["network"], "the mode allow needs a list allow");
  checkPorts(ports, text);
  const reserved = reservedWishes({ image, network, allow, ports });
  const isReserved = (name: ReservedWish["field"]): boolean => reserved.some(({ field }) => field === name);
  return {
    settings: {
      image: isReserved("image") ? undefined : image,
      vcpus,
      memoryMib: memory,
      diskMib: disk,
      ports: isReserved("ports") ? undefined : ports,
      network: isReserved("network") ? undefined : networkWish(network, allow),
      env,
    },
    reserved,
    steps: setup.map((command) => ({ source: "setup", command })),
    inputs,
  };
}

function networkWish(
  mode: NetworkMode | undefined,
  allow: readonly NetworkRule[] | undefined,
): BootstrapSettings["network"] {
  if (mode === undefined && allow === undefined) return undefined;
  return {
    ...(mode === undefined ? {} : { mode }),
    ...(allow === undefined ? {} : { allow: allow.map((rule) => rule.text) }),
  };
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw refusal("it is not UTF-8 text", { cause: error });
  }
}

function parse(text: string): Readonly<Record<string, unknown>> {
  // The place of a mistake is only looked for where that is quick.
  if (text.split("\n").length <= MAX_LINES) {
    try {
      return parseToml(text);
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      throw refusal(`line ${error.line} is not TOML: ${error.message}`, { cause: error });
    }
  }
  try {
    return z.record(z.string(), z.unknown()).parse(Bun.TOML.parse(text));
  } catch (error) {
    throw refusal(`it is not TOML: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function firstFault(error: z.ZodError, text: string): BangerError {
  const [issue] = error.issues;
  if (issue?.code === "unrecognized_keys" && issue.path.length === 0) {
    const key = issue.keys[0] ?? "";
    const names = Object.keys(KEYS);
    const meant = nearest(key, names);
    const words = meant === undefined ? `; there are ${names.join(", ")}` : `; did you mean ${meant}?`;
    return fault(text, [key], `there is no such key${words}`);
  }
  return fault(text, (issue?.path ?? []).map(String), issue?.message ?? "it is not valid");
}

function fault(text: string, path: readonly string[], what: string): BangerError {
  const key = path.map((name) => (/^[A-Za-z0-9_-]{1,80}$/.test(name) ? name : quote(name))).join(".");
  const top = path.slice(0, 1);
  const line = text.split("\n").length <= MAX_LINES ? `line ${lineOfKey(text, top)}, ` : "";
  return refusal(`${line}${key}: ${what}`, {});
}

function refusal(what: string, { cause }: { readonly cause?: unknown }): BangerError {
  return new BangerError("invalid_argument", `${BANGER_TOML} of the work tree: ${what}`, {
    cure: "correct it, or go without it: --no-bootstrap",
    details: { file: BANGER_TOML },
    cause,
  });
}

function checkPorts(ports: readonly PublishedPort[] | undefined, text: string): void {
  try {
    if (ports !== undefined) validatePorts(ports);
  } catch (error) {
    throw fault(text, ["ports"], BangerError.from(error).message);
  }
}
