/** Pulls from a real registry: open, with TLS, with a password, with tokens. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPrivateKey, sign } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "../../src/images/oci/digest.ts";
import { createPuller } from "../../src/images/registry/testing.ts";
import { createTemporaryDirectory, failureOf, type TemporaryDirectory } from "../../src/images/testing.ts";
import { runProgram } from "../../src/lib/run-program.ts";
import {
  type Certificates,
  createCertificates,
  createUmociImage,
  pushImage,
  startDockerRegistry,
} from "../support/docker-registry.ts";

const PASSWORD = "s3cret";
let shared: TemporaryDirectory;
let source: string;
let certificates: Certificates;

beforeAll(async () => {
  shared = await createTemporaryDirectory();
  source = await createUmociImage(shared.path);
  certificates = await createCertificates(join(shared.path, "certs"));
});

afterAll(async () => await shared[Symbol.asyncDispose]());

async function skopeoDigest(name: string, ...args: string[]): Promise<string> {
  const { stdout } = await runProgram([
    "skopeo",
    "inspect",
    ...args,
    "--format",
    "{{.Digest}}",
    `docker://${name}`,
  ]);
  return Buffer.from(stdout).toString().trim();
}

async function logIn(dir: string, host: string): Promise<void> {
  await mkdir(join(dir, ".docker"), { recursive: true });
  const auth = Buffer.from(`me:${PASSWORD}`).toString("base64");
  await writeFile(join(dir, ".docker", "config.json"), JSON.stringify({ auths: { [host]: { auth } } }));
}

describe("docker-registry on loopback", () => {
  test.each(["oci", "v2s2"])("gives an image of the format %s, by plain HTTP found out", async (format) => {
    await using dir = await createTemporaryDirectory();
    await using registry = await startDockerRegistry(join(dir.path, "registry"));
    const name = `${registry.host}/team/app:1.0`;
    await pushImage(source, name, "--dest-tls-verify=false", "--format", format);
    const { pull } = createPuller(dir.path);
    const image = await pull(name);
    expect(await skopeoDigest(name, "--tls-verify=false")).toBe(image.manifestDigest);
    expect(image.layers.length).toBe(2);
    expect(image.config).toMatchObject({ cmd: ["/bin/app"], env: ["A=b"] });
    for (const layer of image.layers) {
      const bytes = await readFile(layer.path);
      expect(digestOf(bytes)).toBe(layer.digest);
      expect(digestOf(Bun.gunzipSync(bytes))).toBe(layer.diffId);
      expect(layer.mediaType).toContain(format === "oci" ? "vnd.oci" : "vnd.docker");
    }
    const before = registry.log().split("blobs/").length;
    expect(await pull(name)).toEqual(image);
    expect(await pull(`${registry.host}/team/app@${image.manifestDigest}`)).toEqual(image);
    expect(registry.log().split("blobs/").length).toBe(before);
    const missing = await failureOf(pull(`${registry.host}/team/app:2.0`));
    expect([missing.code, missing.message]).toEqual(["not_found", expect.stringContaining("team/app:2.0")]);
  });

  test("gives layers in zstd as they are", async () => {
    await using dir = await createTemporaryDirectory();
    await using registry = await startDockerRegistry(join(dir.path, "registry"));
    const name = `${registry.host}/zstd`;
    await pushImage(
      source,
      name,
      "--dest-tls-verify=false",
      "--dest-compress-format",
      "zstd",
      "--dest-compress",
    );
    const image = await createPuller(dir.path).pull(name);
    for (const layer of image.layers) {
      expect(digestOf(Bun.zstdDecompressSync(await readFile(layer.path)))).toBe(layer.diffId);
    }
  });

  test("with TLS is trusted by its authority alone", async () => {
    await using dir = await createTemporaryDirectory();
    await using registry = await startDockerRegistry(join(dir.path, "registry"), { tls: certificates });
    const name = `${registry.host}/app`;
    await pushImage(source, name, "--dest-tls-verify=false");
    const stranger = await failureOf(createPuller(dir.path).pull(name));
    expect([stranger.code, stranger.message]).toEqual([
      "unavailable",
      expect.stringContaining("is not trusted"),
    ]);
    expect(stranger.cure).toContain(`[registries."${registry.host}"]`);
    const registries = { [registry.host]: { mirrors: [], insecure: undefined, ca: certificates.caPath } };
    expect((await createPuller(join(dir.path, "1"), { registries }).pull(name)).layers.length).toBe(2);
    const certs = join(dir.path, "certs.d");
    await mkdir(join(certs, registry.host), { recursive: true });
    await writeFile(join(certs, registry.host, "our.crt"), await readFile(certificates.caPath));
    expect((await createPuller(join(dir.path, "2"), { certsDirs: [certs] }).pull(name)).layers.length).toBe(
      2,
    );
    await writeFile(join(certs, registry.host, "our.crt"), "no certificate");
    const broken = await failureOf(createPuller(join(dir.path, "3"), { certsDirs: [certs] }).pull(name));
    expect([broken.code, broken.message]).toEqual([
      "failed_precondition",
      expect.stringContaining("our.crt"),
    ]);
  });

  test("with TLS is trusted by the authorities in SSL_CERT_FILE", async () => {
    await using dir = await createTemporaryDirectory();
    await using registry = await startDockerRegistry(join(dir.path, "registry"), { tls: certificates });
    const name = `${registry.host}/app`;
    await pushImage(source, name, "--dest-tls-verify=false");
    const testing = join(import.meta.dir, "../../src/images/registry/testing.ts");
    const script = `const { createPuller } = await import(${JSON.stringify(testing)});
      const image = await createPuller(${JSON.stringify(dir.path)}).pull(${JSON.stringify(name)});
      console.log(image.layers.length);`;
    const { stdout } = await runProgram([process.execPath, "-e", script], {
      env: { SSL_CERT_FILE: certificates.caPath },
    });
    expect(Buffer.from(stdout).toString()).toBe("2\n");
  });

  test("with a password gives the image to who has it", async () => {
    await using dir = await createTemporaryDirectory();
    await using registry = await startDockerRegistry(join(dir.path, "registry"), {
      basic: { user: "me", password: PASSWORD },
      tls: certificates,
    });
    const name = `${registry.host}/app`;
    await pushImage(source, name, "--dest-tls-verify=false", "--dest-creds", `me:${PASSWORD}`);
    const registries = { [registry.host]: { mirrors: [], insecure: undefined, ca: certificates.caPath } };
    const { pull } = createPuller(dir.path, { registries });
    const stranger = await failureOf(pull(name));
    expect(stranger.code).toBe("permission_denied");
    expect(stranger.cure).toContain(`docker login ${registry.host}`);
    await logIn(dir.path, registry.host);
    expect((await pull(name)).layers.length).toBe(2);
  });

  test("with tokens gives the image to who may read it", async () => {
    await using dir = await createTemporaryDirectory();
    using service = createTokenService(
      await readFile(certificates.keyPath, "utf8"),
      await readFile(certificates.certPath, "utf8"),
    );
    await using registry = await startDockerRegistry(join(dir.path, "registry"), {
      token: { realm: `http://127.0.0.1:${service.port}/token`, certPath: certificates.caPath },
    });
    const name = `${registry.host}/team/app`;
    await pushImage(source, name, "--dest-tls-verify=false", "--dest-creds", `me:${PASSWORD}`);
    const { pull } = createPuller(dir.path);
    service.scopes.length = 0;
    const stranger = await failureOf(pull(name));
    expect([stranger.code, stranger.message]).toEqual([
      "permission_denied",
      expect.stringContaining(registry.host),
    ]);
    await logIn(dir.path, registry.host);
    expect((await pull(name)).layers.length).toBe(2);
    expect(new Set(service.scopes)).toEqual(new Set(["repository:team/app:pull"]));
  });
});

/**
 * Gives what is asked for to the one who has the password, and a token for nothing to others:
 * https://distribution.github.io/distribution/spec/auth/jwt/.
 */
function createTokenService(
  key: string,
  cert: string,
): Disposable & { readonly port: number; readonly scopes: string[] } {
  const scopes: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const url = new URL(request.url);
      const known = request.headers.get("authorization") === `Basic ${btoa(`me:${PASSWORD}`)}`;
      const scope = url.searchParams.get("scope") ?? "";
      scopes.push(scope);
      const [type = "", name = "", actions = ""] = scope.split(":");
      const access = known && name !== "" ? [{ type, name, actions: actions.split(",") }] : [];
      return Response.json({
        token: createJwt({ access, key, cert, audience: url.searchParams.get("service") ?? "" }),
      });
    },
  });
  return { port: server.port ?? 0, scopes, [Symbol.dispose]: () => void server.stop(true) };
}

function createJwt(parts: { access: unknown; key: string; cert: string; audience: string }): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const nowS = Math.floor(Date.now() / 1000);
  const x5c = [parts.cert.replace(/-----[A-Z ]+-----|\s/gu, "")];
  const head = encode({ typ: "JWT", alg: "ES256", x5c });
  const body = encode({
    iss: "banger test",
    sub: "me",
    aud: parts.audience,
    exp: nowS + 300,
    nbf: nowS - 60,
    iat: nowS,
    jti: crypto.randomUUID(),
    access: parts.access,
  });
  const signature = sign("sha256", Buffer.from(`${head}.${body}`), {
    key: createPrivateKey(parts.key),
    dsaEncoding: "ieee-p1363",
  });
  return `${head}.${body}.${signature.toString("base64url")}`;
}
