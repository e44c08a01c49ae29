/** Debian's docker-registry on loopback, filled by skopeo with an image that umoci made. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProgram, startProgram } from "../../src/lib/run-program.ts";

export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Its log so far: a line for each request. */
  readonly log: () => string;
}

export interface DockerRegistryOptions {
  /** User and password of its htpasswd. */
  readonly basic?: { readonly user: string; readonly password: string };
  readonly tls?: Certificates;
  readonly token?: { readonly realm: string; readonly certPath: string };
}

export interface Certificates {
  /** The authority's, in PEM. */
  readonly caPath: string;
  readonly certPath: string;
  readonly keyPath: string;
}

/** Starts it, with its files in `dir`; ready when this returns. */
export async function startDockerRegistry(
  dir: string,
  options: DockerRegistryOptions = {},
): Promise<DockerRegistry> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, "config.yml"), await renderConfig(dir, options));
  let log = "";
  const ready = Promise.withResolvers<string>();
  const program = startProgram(["docker-registry", "serve", join(dir, "config.yml")], {
    stdout: "pipe",
    env: { OTEL_TRACES_EXPORTER: "none" },
    onStderrLine: (line) => {
      log += `${line}\n`;
      const address = /listening on (127\.0\.0\.1:\d+)/u.exec(line)?.[1];
      if (address !== undefined) ready.resolve(address);
    },
  });
  program.stdout?.on("data", (chunk: Uint8Array) => (log += Buffer.from(chunk).toString()));
  void program.done.then(
    () => ready.reject(new Error(`docker-registry ended: ${log}`)),
    (error: unknown) => ready.reject(error),
  );
  const host = await ready.promise;
  return {
    host,
    log: () => log,
    [Symbol.asyncDispose]: async () => await program.stop(),
  };
}

/** A certificate for 127.0.0.1 and the authority that signed it. */
export async function createCertificates(dir: string): Promise<Certificates> {
  await mkdir(dir, { recursive: true });
  const [caPath, caKey, keyPath, request, certPath, extensions] = [
    "ca.crt",
    "ca.key",
    "server.key",
    "server.csr",
    "server.crt",
    "ext",
  ].map((name) => join(dir, name)) as [string, string, string, string, string, string];
  await writeFile(extensions, "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await runProgram([
    "openssl",
    "req",
    "-x509",
    ...key,
    "-keyout",
    caKey,
    "-out",
    caPath,
    "-days",
    "2",
    "-subj",
    "/CN=banger test",
  ]);
  await runProgram(["openssl", "req", ...key, "-keyout", keyPath, "-out", request, "-subj", "/CN=127.0.0.1"]);
  await runProgram([
    "openssl",
    "x509",
    "-req",
    "-in",
    request,
    "-CA",
    caPath,
    "-CAkey",
    caKey,
    "-CAcreateserial",
    "-out",
    certPath,
    "-days",
    "2",
    "-extfile",
    extensions,
  ]);
  return { caPath, certPath, keyPath };
}

/** An OCI layout with the image `app:latest`: two layers and a configuration. Returns `oci:DIR:latest`. */
export async function createUmociImage(dir: string): Promise<string> {
  const [layout, lower, upper] = [join(dir, "layout"), join(dir, "lower"), join(dir, "upper")];
  await mkdir(join(lower, "etc"), { recursive: true });
  await mkdir(join(upper, "srv"), { recursive: true });
  await writeFile(join(lower, "etc", "os-release"), "ID=test\n");
  await writeFile(join(upper, "srv", "data"), Buffer.alloc(3_000_000, (Math.PI * 1e15).toString(36)));
  const umoci = async (...args: string[]): Promise<void> => void (await runProgram(["umoci", ...args]));
  await umoci("init", "--layout", layout);
  await umoci("new", "--image", `${layout}:latest`);
  await umoci("insert", "--image", `${layout}:latest`, "--rootless", join(lower, "etc"), "/etc");
  await umoci("insert", "--image", `${layout}:latest`, "--rootless", join(upper, "srv"), "/srv");
  await umoci(
    "config",
    "--image",
    `${layout}:latest`,
    "--config.cmd",
    "/bin/app",
    "--config.env",
    "A=b",
    "--architecture",
    process.arch === "arm64" ? "arm64" : "amd64",
  );
  return `oci:${layout}:latest`;
}

/** Copies an image into a registry; `args` for its certificates and logins. Docker's media types with `v2s2`. */
export async function pushImage(from: string, to: string, ...args: string[]): Promise<void> {
  await runProgram(["skopeo", "--insecure-policy", "copy", ...args, from, `docker://${to}`]);
}

async function renderConfig(dir: string, options: DockerRegistryOptions): Promise<string> {
  const { basic, tls, token } = options;
  if (basic !== undefined) {
    const hash = await Bun.password.hash(basic.password, { algorithm: "bcrypt", cost: 4 });
    await writeFile(join(dir, "htpasswd"), `${basic.user}:${hash}\n`);
  }
  const auth =
    basic !== undefined
      ? { htpasswd: { realm: "test", path: join(dir, "htpasswd") } }
      : token !== undefined
        ? {
            token: {
              realm: token.realm,
              service: "test registry",
              issuer: "banger test",
              rootcertbundle: token.certPath,
            },
          }
        : undefined;
  // JSON is YAML.
  return JSON.stringify({
    version: 0.1,
    log: { accesslog: { disabled: false }, level: "info" },
    storage: { filesystem: { rootdirectory: join(dir, "data") } },
    http: {
      addr: "127.0.0.1:0",
      ...(tls === undefined ? {} : { tls: { certificate: tls.certPath, key: tls.keyPath } }),
    },
    ...(auth === undefined ? {} : { auth }),
  });
}
