import { expect, test } from "bun:test";
import { createTemporaryDirectory, failureOf } from "../testing.ts";
import { chooseProxy } from "./proxy.ts";
import { createImage, createPuller, createServerOf, plainHttp, serveImage } from "./testing.ts";

const P = "http://proxy.example:3128/";

test.each<[string, Record<string, string>, string | undefined]>([
  ["https://reg.example/", {}, undefined],
  ["https://reg.example/", { HTTPS_PROXY: P, HTTP_PROXY: "http://other/" }, P],
  ["http://reg.example/", { HTTPS_PROXY: "http://other/", http_proxy: P }, P],
  ["https://reg.example/", { ALL_PROXY: "proxy.example:3128" }, P],
  ["https://reg.example/", { https_proxy: P, HTTPS_PROXY: "http://other/" }, P],
  ["https://reg.example/", { HTTPS_PROXY: P, NO_PROXY: "*" }, undefined],
  ["https://reg.example/", { HTTPS_PROXY: P, NO_PROXY: "other, reg.example" }, undefined],
  ["https://reg.example/", { HTTPS_PROXY: P, NO_PROXY: "example" }, undefined],
  ["https://reg.example/", { HTTPS_PROXY: P, NO_PROXY: "*.example" }, undefined],
  ["https://reg.example/", { HTTPS_PROXY: P, NO_PROXY: ".reg.example" }, P],
  ["https://myreg.example/", { HTTPS_PROXY: P, NO_PROXY: "reg.example" }, P],
  ["https://reg.example:5000/", { HTTPS_PROXY: P, NO_PROXY: "reg.example:5000" }, undefined],
  ["https://reg.example/", { HTTPS_PROXY: P, NO_PROXY: "reg.example:5000" }, P],
  ["https://10.1.2.3/", { HTTPS_PROXY: P, NO_PROXY: "10.0.0.0/8" }, undefined],
  ["https://11.1.2.3/", { HTTPS_PROXY: P, NO_PROXY: "10.0.0.0/8,11.0.0.0/99,x/8" }, P],
  ["https://[fd00::1]/", { HTTPS_PROXY: P, no_proxy: "fd00::/8" }, undefined],
  ["https://[fd00::1]:5/", { HTTPS_PROXY: P, no_proxy: "[fd00::1]:5" }, undefined],
  ["https://localhost:5000/", { HTTPS_PROXY: P }, undefined],
  ["https://127.0.0.9/", { HTTPS_PROXY: P }, undefined],
  ["https://[::1]/", { HTTPS_PROXY: P }, undefined],
])("chooseProxy() of %s with %j is %s", (url, env, proxy) => {
  expect(chooseProxy(new URL(url), env)).toBe(proxy as never);
});

test("a pull goes through the proxy, whose password stands in no error", async () => {
  const image = createImage({ layers: [Buffer.from("layer")] });
  await using dir = await createTemporaryDirectory();
  const seen: (string | undefined)[] = [];
  await using proxy = await createServerOf((request, response) => {
    seen.push(request.headers["proxy-authorization"]);
    // What is asked of a proxy names the host (RFC 9112 3.2.2); what is behind it is made up here.
    request.url = new URL(request.url ?? "", "http://none").pathname;
    return request.headers.host === "reg.example" ? serveImage(image)(request, response) : false;
  });
  const HTTP_PROXY = `http://me:s3cret@${proxy.host}`;
  const registries = plainHttp("reg.example", "other.example");
  const { pull } = createPuller(dir.path, { registries, env: { HTTP_PROXY } });
  expect((await pull("reg.example/a")).layers.length).toBe(1);
  expect(new Set(seen)).toEqual(new Set([`Basic ${btoa("me:s3cret")}`]));
  const denied = await failureOf(
    createPuller(dir.path, { registries, env: { HTTP_PROXY: "socks5://me:s3cret@h" } }).pull(
      "other.example/a",
    ),
  );
  expect([denied.code, denied.message]).toEqual([
    "failed_precondition",
    "HTTP_PROXY is not the URL of an HTTP proxy",
  ]);
  expect(Bun.inspect(denied)).not.toContain("s3cret");
});

test.each([407, 502])("a proxy that answers %d to a tunnel is named", async (status) => {
  await using dir = await createTemporaryDirectory();
  using proxy = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`) },
  });
  const env = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
  const error = await failureOf(createPuller(dir.path, { env }).pull("reg.example/a"));
  expect([error.code, error.message]).toEqual([
    "failed_precondition",
    "the HTTP proxy does not let us through to reg.example",
  ]);
});
