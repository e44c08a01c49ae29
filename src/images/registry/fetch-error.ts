/** What the runtime's fetch fails with, by its code alone: its words may hold a URL with a signature. */
import { BangerError } from "../../model/errors.ts";
import { TransientError } from "./transient.ts";

/** Codes of OpenSSL's verification (X509_STORE_CTX_get_error(3)) and of the check of the name. */
const CERTIFICATE =
  /CERT|UNABLE_TO_(?:GET|VERIFY|DECRYPT|DECODE)|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_(?:CA|PURPOSE)|PATH_LENGTH/u;

export function errorFromFetch(error: unknown, url: URL): BangerError {
  const code = codeOf(error);
  const details = { host: url.host, reason: code };
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "DNSException") {
    return new BangerError("unavailable", `there is no host ${url.hostname} that could be found`, {
      cure: "check the name, and that this host is online",
      details,
    });
  }
  if (CERTIFICATE.test(code)) {
    return new BangerError("unavailable", `the certificate of ${url.host} is not trusted (${code})`, {
      cure: `if it is right, trust it with ca = "FILE" below [registries."${url.host}"] in config.toml`,
      details,
    });
  }
  if (isNotTls(error)) {
    return new BangerError("unavailable", `${url.host} does not speak TLS`, {
      cure: `if plain HTTP will do, set insecure = true below [registries."${url.host}"] in config.toml`,
      details,
    });
  }
  if (code === "ERR_PROXY_TUNNEL" || /PROXY/iu.test(code)) {
    return new BangerError("failed_precondition", `the HTTP proxy does not let us through to ${url.host}`, {
      cure: "check HTTPS_PROXY and NO_PROXY",
      details,
    });
  }
  if (code === "ResponseHeadersTooLarge") {
    return new BangerError("unavailable", `${url.host} sends a head that is far too large`, { details });
  }
  if (code === "ECONNREFUSED") {
    return new BangerError("unavailable", `${url.host} does not take connections`, {
      cure: "check the name and the port",
      details,
    });
  }
  return new TransientError("unavailable", `${url.host} cannot be talked to (${code})`, { details });
}

/** That the other side speaks something else than TLS. */
export function isNotTls(error: unknown): boolean {
  const code = error instanceof BangerError ? error.details["reason"] : codeOf(error);
  return code === "EPROTO";
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^[A-Za-z0-9_]{1,64}$/u.test(code) ? code : "unknown";
}
