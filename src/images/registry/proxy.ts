/** Which proxy a URL is fetched through, by the variables that corporate networks set; the rules are those of curl(1) and Go. */
import { BlockList, isIP } from "node:net";
import { BangerError } from "../../model/errors.ts";

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The URL of the proxy, with user and password where it has them; undefined: none. This host is never spoken to through
 * a proxy. Errors: `failed_precondition` for a variable that is not the URL of an HTTP proxy.
 */
export function chooseProxy(url: URL, env: Env): string | undefined {
  const name = url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const found = [name.toLowerCase(), name, "all_proxy", "ALL_PROXY"].find((variable) => env[variable]);
  if (found === undefined || isBypassed(url, env["no_proxy"] || env["NO_PROXY"] || "")) return undefined;
  return parseProxy(found, env[found] ?? "");
}

/** This host, by name or address. */
export function isLoopback(hostname: string): boolean {
  const host = bare(hostname);
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    host === "::1" ||
    /^127(?:\.\d{1,3}){3}$/u.test(host)
  );
}

function parseProxy(variable: string, text: string): string {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:") && url.hostname !== "")
    return url.href;
  // The value may hold a password.
  throw new BangerError("failed_precondition", `${variable} is not the URL of an HTTP proxy`, {
    cure: `write it as http://host:port, or remove it with: unset ${variable}`,
    details: { variable },
  });
}

function isBypassed(url: URL, list: string): boolean {
  const host = bare(url.hostname);
  if (isLoopback(host)) return true;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return list
    .toLowerCase()
    .split(/[\s,]+/u)
    .some((rule) => rule !== "" && matches(rule, host, port));
}

/** `*`, an address, a network, `example.com` (itself and below), `.example.com` (below), each but the first with `:port` or not. */
function matches(rule: string, host: string, port: string): boolean {
  if (rule === "*") return true;
  if (rule.includes("/")) return isInNetwork(rule, host);
  const split = /^(\[[^\]]*\]|[^:]*):(\d+)$/u.exec(rule);
  if (split !== null && split[2] !== port) return false;
  const name = bare(split?.[1] ?? rule).replace(/^\*(?=\.)/u, "");
  if (name === "" || name === ".") return false;
  if (name.startsWith(".")) return host.endsWith(name);
  return host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
}

function isInNetwork(rule: string, host: string): boolean {
  const [address = "", bits = ""] = rule.split("/");
  const family = isIP(address);
  const prefix = /^\d{1,3}$/u.test(bits) ? Number(bits) : Number.NaN;
  if (family === 0 || isIP(host) !== family || !(prefix <= (family === 4 ? 32 : 128))) return false;
  const list = new BlockList();
  list.addSubnet(address, prefix, family === 4 ? "ipv4" : "ipv6");
  return list.check(host, family === 4 ? "ipv4" : "ipv6");
}

/** Without the brackets of IPv6 and the dot of a full name. */
function bare(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/u, "$1")
    .replace(/\.$/u, "");
}
