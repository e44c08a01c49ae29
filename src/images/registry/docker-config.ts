/**
 * Docker's `config.json`, the part about credentials:
 * https://docs.docker.com/reference/cli/docker/login/#credential-stores. It is read anew for each pull, so that a login
 * counts at once. Its text never becomes part of an error: it holds passwords.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { BangerError } from "../../model/errors.ts";
import { DEFAULT_REGISTRY } from "../../model/image-reference.ts";
import { askCredentialHelper, HELPER_NAME } from "./credential-helper.ts";
import type { Credentials } from "./credentials.ts";

/** What Docker calls its own registry in there. */
const DOCKER_SERVER = "https://index.docker.io/v1/";
const MAX_BYTES = 1024 * 1024;

const secret = z.string().max(64 * 1024);
const helper = z.string().regex(HELPER_NAME);
const dockerConfig = z.object({
  auths: z
    .record(
      z.string(),
      z.object({
        auth: secret.nullish(),
        username: secret.nullish(),
        password: secret.nullish(),
        identitytoken: secret.nullish(),
        registrytoken: secret.nullish(),
      }),
    )
    .nullish(),
  credsStore: helper.or(z.literal("")).nullish(),
  credHelpers: z.record(z.string(), helper).nullish(),
});

type DockerConfig = z.infer<typeof dockerConfig>;
type Auth = NonNullable<DockerConfig["auths"]>[string];

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The user's credentials at a registry; undefined: none are known. A helper goes before what stands in the file. Errors:
 * `failed_precondition` (a file or a helper that is broken), `cancelled`.
 */
export async function findCredentials(
  registry: string,
  env: Env,
  signal: AbortSignal,
): Promise<Credentials | undefined> {
  const path = configPath(env);
  const config = path === undefined ? undefined : await readDockerConfig(path);
  if (config === undefined) return undefined;
  const server = registry === DEFAULT_REGISTRY ? DOCKER_SERVER : registry;
  const own = Object.entries(config.credHelpers ?? {}).find(([key]) => namesRegistry(key, registry));
  const program = own?.[1] ?? (config.credsStore || undefined);
  const told =
    program === undefined ? undefined : await askCredentialHelper({ program, server, env, signal });
  if (told !== undefined) return told;
  const found = Object.entries(config.auths ?? {}).filter(([key]) => namesRegistry(key, registry));
  for (const [, auth] of found) {
    const credentials = credentialsFromAuth(auth);
    if (credentials !== undefined) return credentials;
  }
  return undefined;
}

function configPath(env: Env): string | undefined {
  const { DOCKER_CONFIG: dir, HOME: home } = env;
  if (dir !== undefined && dir !== "") return join(dir, "config.json");
  return home === undefined || home === "" ? undefined : join(home, ".docker", "config.json");
}

async function readDockerConfig(path: string): Promise<DockerConfig | undefined> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  const parsed = dockerConfig.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path[0];
  throw broken(path, field === undefined ? "is not a JSON object" : `is not valid in "${String(field)}"`);
}

async function readText(path: string): Promise<string | undefined> {
  // A pipe in its place would be waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw broken(path, `cannot be read (${code ?? "unknown"})`);
  });
  if (file === undefined) return undefined;
  try {
    const facts = await file.stat();
    if (!facts.isFile()) throw broken(path, "is not a file");
    if (facts.size > MAX_BYTES) throw broken(path, `has more than ${MAX_BYTES} bytes`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's words quote the text, which holds secrets; the schema refuses it without them.
    return undefined;
  }
}

/** `ghcr.io` is also written `https://ghcr.io`, `https://ghcr.io/v2/`; a longer path is a namespace and not the registry. */
function namesRegistry(key: string, registry: string): boolean {
  const match = /^(?:https?:\/\/)?([^/]+)(?:\/(?:v[12]\/?)?)?$/u.exec(key.toLowerCase());
  const host = match?.[1];
  if (registry !== DEFAULT_REGISTRY) return host === registry;
  return host !== undefined && ["docker.io", "index.docker.io", "registry-1.docker.io"].includes(host);
}

function credentialsFromAuth(auth: Auth): Credentials | undefined {
  if (auth.registrytoken) return { kind: "access", token: auth.registrytoken };
  if (auth.identitytoken) return { kind: "identity", token: auth.identitytoken };
  const pair = auth.auth ? Buffer.from(auth.auth, "base64").toString("utf8") : undefined;
  const colon = pair?.indexOf(":") ?? -1;
  if (pair !== undefined && colon > 0) {
    // Docker ends the password with NULs.
    const password = pair.slice(colon + 1).replace(/\0+$/u, "");
    return { kind: "password", username: pair.slice(0, colon), password };
  }
  if (!auth.username || auth.password === undefined || auth.password === null) return undefined;
  return { kind: "password", username: auth.username, password: auth.password };
}

function broken(path: string, what: string): BangerError {
  return new BangerError("failed_precondition", `Docker's configuration ${path} ${what}`, {
    cure: "correct it, or set DOCKER_CONFIG to the directory of another",
    details: { file: path },
  });
}
