/** The wire contract as a careless or hostile client meets it: everything odd is refused with a code, nothing crashes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import { ErrorEnvelopeSchema } from "../../src/api/schemas/common.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await createTestDaemon();
  await daemon.addImage("img");
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

async function call(method: string, path: string, body?: string): Promise<Response> {
  const init: RequestInit & { unix: string } = { method, unix: daemon.layout.socket };
  if (body !== undefined) init.body = body;
  return await fetch(`http://banger${path}`, init);
}

async function code(response: Response): Promise<string> {
  return ErrorEnvelopeSchema.parse(await response.json()).error.code;
}

test.each([
  ["malformed JSON", "{oops", 400, "invalid_argument"],
  ["JSON that is no object", "[1]", 400, "invalid_argument"],
  ["an unknown field", '{"nmae":"x"}', 400, "invalid_argument"],
  ["a bad name", '{"name":"box/../evil"}', 400, "invalid_argument"],
  ["a name with NUL", '{"name":"a\\u0000b"}', 400, "invalid_argument"],
  ["no vCPUs", '{"vcpus":0}', 400, "invalid_argument"],
  ["a negative memory", '{"memoryMib":-1}', 400, "invalid_argument"],
  ["an absurd disk", '{"diskMib":1e15}', 400, "invalid_argument"],
  ["half a vCPU", '{"vcpus":1.5}', 400, "invalid_argument"],
  ["an env name with =", '{"env":{"A=B":"c"}}', 400, "invalid_argument"],
  ["an image path", '{"image":"../x"}', 400, "invalid_argument"],
] as const)("create refuses %s and makes no row", async (_, body, status, expected) => {
  const response = await call("POST", "/v1/vms?start=false", body);
  expect(response.status).toBe(status);
  expect(await code(response)).toBe(expected);
  expect(daemon.store.vms.list()).toEqual([]);
});

test("a body above the limit is refused with resource_exhausted", async () => {
  const response = await call("POST", "/v1/vms", `{"name":"${"x".repeat(5 * 1024 * 1024)}"}`);
  expect(response.status).toBe(429);
  expect(await code(response)).toBe("resource_exhausted");
});

test("a body of 10 MB is refused, whether the server reads it or not", async () => {
  const response = await call("POST", "/v1/vms", "x".repeat(10 * 1024 * 1024));
  expect(response.status).toBeGreaterThanOrEqual(400);
  expect(daemon.store.vms.list()).toEqual([]);
});

test.each([
  ["GET", "/", 404],
  ["GET", "/v1/nothing", 404],
  ["PUT", "/v1/vms", 404],
  ["GET", "/v1/vms/no-such-vm", 404],
  ["GET", "/v1/vms/UPPER", 400],
  ["GET", "/v1/vms/..%2f..%2fetc", 400],
  ["DELETE", "/v1/vms/x?force=maybe", 400],
  ["DELETE", "/v1/vms/x?sudo=true", 400],
  ["DELETE", "/v1/vms/x?force=true&force=false", 400],
  ["GET", "/v1/vms/x/exec", 400],
] as const)("%s %s is %d, with an error body", async (method, path, status) => {
  const response = await call(method, path);
  expect(response.status).toBe(status);
  expect(await code(response)).toBeString();
});

test("every answer carries an operation id of its own", async () => {
  const ids = await Promise.all(
    [1, 2, 3].map(async () => (await call("GET", "/v1/vms")).headers.get("banger-operation")),
  );
  for (const id of ids) expect(id).toMatch(/^op-[0-9a-f]{8}$/);
  expect(new Set(ids).size).toBe(3);
});

test("the OpenAPI document is served", async () => {
  const document = (await (await call("GET", "/v1/openapi.json")).json()) as {
    openapi: string;
    paths: object;
  };
  expect(document.openapi).toBe("3.1.0");
  expect(Object.keys(document.paths)).toContain("/v1/vms/{vm}/exec");
});

test("an id prefix that fits two VMs is refused as ambiguous", async () => {
  await Promise.all(
    Array.from({ length: 17 }, () => daemon.client.createVm({ image: "img" }, { start: false })),
  );
  // Seventeen ids of hex digits: two begin with the same one.
  const first = daemon.store.vms.list().map((vm) => vm.id.charAt(0));
  const twice = first.find((digit, index) => first.indexOf(digit) !== index) ?? "";
  const response = await call("GET", `/v1/vms/${twice}`);
  expect(response.status).toBe(400);
  expect(((await response.json()) as { error: { message: string } }).error.message).toContain("several");
  for (const vm of daemon.store.vms.list()) await daemon.client.removeVm(vm.id);
});

test("a WebSocket that begins with anything but its command gets an error and a close", async () => {
  await daemon.client.createVm({ name: "web", image: "img" }, { start: false });
  for (const first of [
    "{}",
    "nonsense",
    '{"type":"end"}',
    '{"type":"run","run":{"vm":{}}}',
    Buffer.from([1, 2, 3]),
  ]) {
    const { messages } = await socketTalk("/v1/vms/web/exec", first);
    expect(messages.at(-1)).toMatchObject({ type: "error" });
  }
  await daemon.client.removeVm("web");
});

test("200 requests of random JSON never get a 500, and the daemon serves on", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.jsonValue(),
      fc.constantFrom("/v1/vms?start=false", "/v1/images/pull", "/v1/images/import"),
      async (value, path) => {
        const response = await call("POST", path, JSON.stringify({ zzz: value }));
        expect(response.status).toBe(400);
        await response.body?.cancel();
      },
    ),
    { numRuns: 200, seed: 7 },
  );
  expect((await call("GET", "/v1/daemon")).status).toBe(200);
});

async function socketTalk(path: string, first: string | Buffer): Promise<{ messages: unknown[] }> {
  const messages: unknown[] = [];
  const socket = new WebSocket(`ws+unix://${daemon.layout.socket}:${path}`);
  socket.addEventListener("open", () => socket.send(first));
  socket.addEventListener("message", ({ data }) => messages.push(JSON.parse(String(data))));
  await new Promise((resolve) => socket.addEventListener("close", resolve));
  return { messages };
}
