import { describe, expect, test } from "bun:test";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTemporaryDirectory, failureOf } from "../testing.ts";
import { Http } from "./http.ts";
import {
  createImage,
  createPuller,
  createServerOf,
  type Handler,
  plainHttp,
  QuickClock,
  serveImage,
} from "./testing.ts";
import { fetchToken } from "./token.ts";

const IMAGE = createImage({ layers: [Buffer.alloc(50_000, "layer")] });
const LAYER = String(IMAGE.layers[0]);
const PASSWORD = "pass:wörd-s3cret";
const BASIC = `Basic ${Buffer.from(`me:${PASSWORD}`).toString("base64")}`;

/** Refuses requests without the header that `wanted` says. */
function guard(wanted: () => string, challenge: string): Handler {
  return ({ headers }, response) => {
    if (headers.authorization === wanted()) return false;
    response.writeHead(401, { "www-authenticate": challenge }).end();
    return true;
  };
}

async function writeDockerConfig(dir: string, config: unknown): Promise<void> {
  await mkdir(join(dir, ".docker"), { recursive: true });
  await writeFile(
    join(dir, ".docker", "config.json"),
    typeof config === "string" ? config : JSON.stringify(config),
  );
}

/** A credential helper that answers by a line of shell. */
async function writeHelper(dir: string, name: string, script: string): Promise<void> {
  const path = join(dir, `docker-credential-${name}`);
  await writeFile(
    path,
    `#!/bin/sh\necho "$@" > ${dir}/argv\nread server; echo "$server" > ${dir}/server\n${script}\n`,
  );
  await chmod(path, 0o755);
}

const auth = (text: string): { auth: string } => ({ auth: Buffer.from(text).toString("base64") });

describe("a registry with basic login", () => {
  const basic = guard(() => BASIC, 'Basic realm="here"');

  test.each<[string, (host: string) => unknown]>([
    ["auths", (host) => ({ auths: { [host]: auth(`me:${PASSWORD}\0\0`) } })],
    ["auths with a URL", (host) => ({ auths: { [`https://${host}/v2/`]: auth(`me:${PASSWORD}`) } })],
    ["a user and a password", (host) => ({ auths: { [host]: { username: "me", password: PASSWORD } } })],
    ["credsStore", () => ({ credsStore: "good" })],
    ["credHelpers", (host) => ({ credsStore: "absent", credHelpers: { [host]: "good" } })],
    [
      "auths behind a helper that knows nothing",
      (host) => ({ credsStore: "none", auths: { [host]: auth(`me:${PASSWORD}`) } }),
    ],
  ])("is read with %s of Docker's configuration", async (_, config) => {
    await using dir = await createTemporaryDirectory();
    await writeHelper(dir.path, "good", `echo '{"ServerURL":"x","Username":"me","Secret":"${PASSWORD}"}'`);
    await writeHelper(dir.path, "none", "echo credentials not found in native keychain; exit 1");
    await using server = await createServerOf(basic, serveImage(IMAGE));
    await writeDockerConfig(dir.path, config(server.host));
    const { pull } = createPuller(dir.path, {
      registries: plainHttp(server.host),
      env: { PATH: `${dir.path}:${process.env["PATH"]}` },
    });
    expect((await pull(`${server.host}/a`)).layers.length).toBe(1);
    const told = Bun.file(join(dir.path, "server"));
    if (await told.exists()) expect(await told.text()).toBe(`${server.host}\n`);
    // Nothing secret on the command line.
    const argv = Bun.file(join(dir.path, "argv"));
    if (await argv.exists()) expect(await argv.text()).toBe("get\n");
  });

  test.each<[string, unknown, string, string]>([
    ["no login", undefined, "permission_denied", "none are stored"],
    [
      "a wrong password",
      (host: string) => ({ auths: { [host]: auth("me:wrong") } }),
      "permission_denied",
      "does not accept the login",
    ],
    [
      "another registry's login",
      { auths: { "ghcr.io": auth(`me:${PASSWORD}`) } },
      "permission_denied",
      "none are stored",
    ],
    [
      "a namespace's login",
      (host: string) => ({ auths: { [`${host}/b`]: auth(`me:${PASSWORD}`) } }),
      "permission_denied",
      "none are stored",
    ],
    ["no JSON", `{"auths": ${PASSWORD}`, "failed_precondition", "is not a JSON object"],
    ["a wrong field", { auths: [PASSWORD] }, "failed_precondition", 'is not valid in "auths"'],
    [
      "a helper with a path for a name",
      { credsStore: "../../bin/sh" },
      "failed_precondition",
      'is not valid in "credsStore"',
    ],
    [
      "a helper that is missing",
      { credsStore: "absent" },
      "failed_precondition",
      "docker-credential-absent is not installed",
    ],
    [
      "a helper that fails",
      { credsStore: "bad" },
      "failed_precondition",
      "docker-credential-bad failed with exit code 3",
    ],
    ["a helper that talks nonsense", { credsStore: "odd" }, "failed_precondition", "not of its protocol"],
    ["a helper that does not end", { credsStore: "loud" }, "failed_precondition", "wrote more than"],
  ])("refuses %s, and no secret is shown", async (_, config, code, message) => {
    await using dir = await createTemporaryDirectory();
    await writeHelper(dir.path, "bad", `echo ${PASSWORD}; echo ${PASSWORD} >&2; exit 3`);
    await writeHelper(dir.path, "odd", `echo '{"Secret": "${PASSWORD}"'`);
    await writeHelper(dir.path, "loud", `yes ${PASSWORD}`);
    await using server = await createServerOf(basic, serveImage(IMAGE));
    if (config !== undefined) {
      await writeDockerConfig(
        dir.path,
        typeof config === "function" ? (config(server.host) as unknown) : config,
      );
    }
    const { pull } = createPuller(dir.path, {
      registries: plainHttp(server.host),
      env: { PATH: `${dir.path}:${process.env["PATH"]}` },
    });
    const error = await failureOf(pull(`${server.host}/a`));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)] as never);
    expect(Bun.inspect(error)).not.toContain(PASSWORD);
    expect(JSON.stringify(error.toBody())).not.toContain("s3cret");
    expect(error.cure ?? "").not.toBe("");
  });

  test("is left when the pull is cancelled while a helper hangs", async () => {
    await using dir = await createTemporaryDirectory();
    await writeHelper(dir.path, "hangs", `: > ${dir.path}/began; exec sleep 1000`);
    const giving = new AbortController();
    await using server = await createServerOf((request, response) => {
      setImmediate(() => giving.abort());
      return basic(request, response);
    });
    await writeDockerConfig(dir.path, { credsStore: "hangs" });
    const { pull } = createPuller(dir.path, {
      registries: plainHttp(server.host),
      env: { PATH: `${dir.path}:${process.env["PATH"]}` },
    });
    expect((await failureOf(pull(`${server.host}/a`, { signal: giving.signal }))).code).toBe("cancelled");
  });
});

describe("a registry with tokens", () => {
  /** A token service whose tokens are numbers. */
  function createTokens(options: { readonly life?: number; readonly wanted?: string } = {}): {
    readonly handler: Handler;
    readonly current: () => string;
    readonly asked: URL[];
    readonly bodies: string[];
  } {
    const asked: URL[] = [];
    const bodies: string[] = [];
    let issued = 0;
    return {
      asked,
      bodies,
      current: () => `Bearer token-${issued}`,
      handler: async (request, response) => {
        if (request.url?.startsWith("/token") !== true) return false;
        asked.push(new URL(request.url, "http://h"));
        const chunks: Uint8Array[] = [];
        for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk);
        bodies.push(Buffer.concat(chunks).toString());
        if (options.wanted !== undefined && request.headers.authorization !== options.wanted) {
          response.writeHead(401).end('{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}');
          return true;
        }
        issued += 1;
        const life = options.life === undefined ? {} : { expires_in: options.life };
        response.end(
          JSON.stringify({ [issued % 2 === 0 ? "token" : "access_token"]: `token-${issued}`, ...life }),
        );
        return true;
      },
    };
  }

  test("gets one for anybody, for reading this repository, and keeps it for the pull", async () => {
    await using dir = await createTemporaryDirectory();
    const tokens = createTokens({ life: 300 });
    await using service = await createServerOf(tokens.handler);
    await using server = await createServerOf(
      guard(
        tokens.current,
        `Bearer realm="http://${service.host}/token?x=1",service="reg",scope="repository:up/a:pull,push"`,
      ),
      serveImage(IMAGE),
    );
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    await pull(`${server.host}/a`);
    expect(tokens.asked.map((url) => url.search)).toEqual([
      "?x=1&service=reg&scope=repository%3Aup%2Fa%3Apull",
    ]);
    expect(service.authorizations).toEqual([undefined]);
  });

  test("gets one with a password, which the registry never sees, and asks again when it ran out", async () => {
    await using dir = await createTemporaryDirectory();
    const tokens = createTokens({ life: 1, wanted: BASIC });
    await using service = await createServerOf(tokens.handler);
    await using server = await createServerOf(
      guard(tokens.current, `Bearer realm="http://${service.host}/token"`),
      serveImage(IMAGE),
    );
    await writeDockerConfig(dir.path, { auths: { [server.host]: auth(`me:${PASSWORD}`) } });
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    await pull(`${server.host}/a`);
    expect(tokens.asked.length).toBeGreaterThan(1);
    expect(tokens.asked[0]?.searchParams.get("scope")).toBe("repository:a:pull");
    expect(server.authorizations.filter((header) => header?.startsWith("Basic"))).toEqual([]);
  });

  test("trades an identity token in the body of a request", async () => {
    await using dir = await createTemporaryDirectory();
    const tokens = createTokens();
    await using service = await createServerOf(tokens.handler);
    await using server = await createServerOf(
      guard(tokens.current, `Bearer realm="http://${service.host}/token",service="reg"`),
      serveImage(IMAGE),
    );
    await writeDockerConfig(dir.path, { auths: { [server.host]: { identitytoken: PASSWORD } } });
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    await pull(`${server.host}/a`);
    expect(Object.fromEntries(new URLSearchParams(tokens.bodies[0]))).toEqual({
      grant_type: "refresh_token",
      client_id: "banger",
      service: "reg",
      scope: "repository:a:pull",
      refresh_token: PASSWORD,
    });
    expect(service.requests).toContain("POST /token");
  });

  test("is refused with a wrong password, and when its own token does not help", async () => {
    await using dir = await createTemporaryDirectory();
    const tokens = createTokens({ wanted: BASIC });
    await using service = await createServerOf(tokens.handler);
    const challenge = `Bearer realm="http://${service.host}/token"`;
    await using server = await createServerOf(guard(() => "never", challenge));
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    await writeDockerConfig(dir.path, { auths: { [server.host]: auth("me:wrong") } });
    const wrong = await failureOf(pull(`${server.host}/a`));
    expect([wrong.code, wrong.message]).toEqual([
      "permission_denied",
      expect.stringContaining("does not accept the user"),
    ]);
    await writeDockerConfig(dir.path, { auths: { [server.host]: auth(`me:${PASSWORD}`) } });
    const useless = await failureOf(pull(`${server.host}/a`));
    expect([useless.code, useless.message]).toEqual([
      "permission_denied",
      expect.stringContaining("wants to know who asks"),
    ]);
  });

  test("does not get a password to where it would not be safe", async () => {
    const clock = new QuickClock();
    const error = await failureOf(
      fetchToken(
        new Http({ env: {}, clock }),
        {
          registry: "reg.example",
          realm: "http://elsewhere.example/token",
          service: undefined,
          scope: "repository:a:pull",
          credentials: { kind: "password", username: "me", password: PASSWORD },
          ca: undefined,
          plainHttp: false,
        },
        { clock, signal: new AbortController().signal },
      ),
    );
    expect([error.code, error.message]).toEqual([
      "unavailable",
      expect.stringContaining("would not be safe"),
    ]);
  });

  test.each([
    "",
    "Digest realm=x",
    "Negotiate",
    "Bearer",
    "Bearer realm=",
    'Bearer realm="file:///etc/passwd"',
    ",,,=",
  ])("with the challenge %j is refused", async (challenge) => {
    await using dir = await createTemporaryDirectory();
    await using server = await createServerOf(guard(() => "never", challenge));
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    const error = await failureOf(pull(`${server.host}/a`));
    expect(["permission_denied", "unavailable"]).toContain(error.code);
  });
});

describe("a redirect", () => {
  test("to another host carries no login, and its signature stands in no error", async () => {
    await using dir = await createTemporaryDirectory();
    await using storage = await createServerOf(({ url, headers }, response) => {
      if (url?.startsWith("/good?signature=s3cret") === true && headers.authorization === undefined) {
        response.end(IMAGE.blobs.get(LAYER));
        return true;
      }
      return false;
    });
    let place = "good";
    await using server = await createServerOf(
      guard(() => BASIC, "Basic realm=x"),
      ({ url }, response) => {
        if (url?.endsWith(LAYER) !== true) return false;
        response.writeHead(307, { location: `http://u:p@${storage.host}/${place}?signature=s3cret` }).end();
        return true;
      },
      serveImage(IMAGE),
    );
    await writeDockerConfig(dir.path, { auths: { [server.host]: auth(`me:${PASSWORD}`) } });
    const { pull, store } = createPuller(dir.path, { registries: plainHttp(server.host) });
    await pull(`${server.host}/a`);
    expect(storage.authorizations).toEqual([undefined]);
    for (const digest of await store.list()) await store.remove(digest);
    place = "bad";
    const error = await failureOf(pull(`${server.host}/a`));
    expect(error.code).toBe("not_found");
    expect(Bun.inspect(error)).not.toContain("s3cret");
  });

  test("within the host carries it", async () => {
    await using dir = await createTemporaryDirectory();
    await using server = await createServerOf(
      guard(() => BASIC, "Basic realm=x"),
      ({ url }, response) => {
        if (url === `/v2/a/blobs/${LAYER}`)
          response.writeHead(302, { location: `/v2/b/blobs/${LAYER}` }).end();
        return url === `/v2/a/blobs/${LAYER}`;
      },
      serveImage(IMAGE),
      serveImage(IMAGE, "b"),
    );
    await writeDockerConfig(dir.path, { auths: { [server.host]: auth(`me:${PASSWORD}`) } });
    const { pull } = createPuller(dir.path, { registries: plainHttp(server.host) });
    expect((await pull(`${server.host}/a`)).layers.length).toBe(1);
  });
});
