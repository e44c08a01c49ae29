/** Whose certificates a registry may show: the system's, and what the user added for this registry. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { getCACertificates } from "node:tls";
import { BangerError } from "../../model/errors.ts";

const MAX_FILES = 64;

export interface Trust {
  /** Directories like `/etc/docker/certs.d`: below them, one of the registry's name holds `*.crt` files. */
  readonly certsDirs: readonly string[];
}

/**
 * Certificates in PEM; undefined: the system's alone, which the runtime finds (`SSL_CERT_FILE` included). Errors:
 * `failed_precondition` for a file that cannot be read or is no certificate.
 */
export async function findCertificates(
  registry: string,
  ca: string | undefined,
  trust: Trust,
): Promise<readonly string[] | undefined> {
  const files = ca === undefined ? [] : [ca];
  for (const dir of trust.certsDirs.map((certs) => join(certs, registry))) {
    const names = await readdir(dir).catch((error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR") return [];
      throw unusable(dir, code ?? "unknown", error);
    });
    files.push(
      ...names
        .filter((name) => name.endsWith(".crt"))
        .sort()
        .map((name) => join(dir, name)),
    );
  }
  if (files.length === 0) return undefined;
  const own = await Promise.all(files.slice(0, MAX_FILES).map(readCertificates));
  return [...own, ...getCACertificates("default")];
}

async function readCertificates(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw unusable(path, (error as NodeJS.ErrnoException).code ?? "unknown", error);
  });
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw unusable(path, "it holds no certificate in PEM", undefined);
}

function unusable(path: string, why: string, cause: unknown): BangerError {
  return new BangerError("failed_precondition", `the certificates in ${path} cannot be used: ${why}`, {
    cure: "correct the file, or remove it",
    details: { file: path },
    cause,
  });
}
