/**
 * Credential helpers, `docker-credential-NAME get`: https://github.com/docker/docker-credential-helpers#development. The
 * server goes in by stdin, a JSON object comes out; what a helper says is never shown, for it may hold secrets.
 */
import type { Readable } from "node:stream";
import { z } from "zod";
import { type ProgramEnd, startProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import type { Credentials } from "./credentials.ts";

export interface HelperRequest {
  /** What follows `docker-credential-`; matches `HELPER_NAME`. */
  readonly program: string;
  /** What it knows the registry by. */
  readonly server: string;
  /** `PATH` is where it is looked for. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** It becomes part of the name of a program. */
export const HELPER_NAME: RegExp = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u;

const MAX_OUTPUT_BYTES = 256 * 1024;
/** Helpers may unlock a key ring, but nobody is there to be asked. */
const DEADLINE_MS = 30_000;

/** Helpers say this, with exit code 1, for a server that they do not know. */
const NOT_FOUND = /credentials not found/iu;

const answer = z.object({ Username: z.string(), Secret: z.string() });

/** Undefined: it knows none. Errors: `failed_precondition` (missing, fails, hangs, answers nonsense), `cancelled`. */
export async function askCredentialHelper(request: HelperRequest): Promise<Credentials | undefined> {
  const name = `docker-credential-${request.program}`;
  const path = Bun.which(name, { PATH: request.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin" });
  if (path === null) throw failed(name, "is not installed");
  const { exitCode, output } = await run(path, name, request);
  if (exitCode !== 0) {
    if (NOT_FOUND.test(output)) return undefined;
    throw failed(name, `failed with exit code ${exitCode}`);
  }
  const parsed = answer.safeParse(parseJson(output));
  if (!parsed.success) throw failed(name, "gave an answer that is not of its protocol");
  const { Username: username, Secret: secret } = parsed.data;
  if (secret === "") return undefined;
  return username === "<token>"
    ? { kind: "identity", token: secret }
    : { kind: "password", username, password: secret };
}

async function run(
  path: string,
  name: string,
  { server, env, signal }: HelperRequest,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const deadline = new AbortController();
  const timer = setTimeout(
    () => deadline.abort(failed(name, `did not answer within ${DEADLINE_MS / 1000} s`)),
    DEADLINE_MS,
  );
  let ended: ProgramEnd | undefined;
  const program = startProgram([path, "get"], {
    stdin: "pipe",
    stdout: "pipe",
    env: Object.fromEntries(
      Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
    ),
    signal: AbortSignal.any([signal, deadline.signal]),
    failure: (end) => {
      ended = end;
      return failed(name, "failed");
    },
  });
  try {
    program.stdin?.end(`${server}\n`);
    const output = program.stdout === undefined ? "" : await readBounded(program.stdout, name);
    const exitCode = await program.done.then(
      () => 0,
      (error: unknown) => {
        if (ended?.exitCode === undefined) throw error;
        return ended.exitCode;
      },
    );
    return { exitCode, output };
  } finally {
    clearTimeout(timer);
    await program.stop();
  }
}

async function readBounded(stdout: Readable, name: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of stdout as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > MAX_OUTPUT_BYTES) throw failed(name, `wrote more than ${MAX_OUTPUT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's words quote the text, which may hold a secret.
    return undefined;
  }
}

function failed(name: string, what: string): BangerError {
  return new BangerError("failed_precondition", `the credential helper ${name} ${what}`, {
    cure: "correct credsStore or credHelpers in Docker's config.json, or log in again",
    details: { program: name },
  });
}
