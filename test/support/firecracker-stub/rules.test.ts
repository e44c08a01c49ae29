/** Each rule of the API against the stub: what the real program refuses is refused, and written down. */
import { describe, expect, test } from "bun:test";
import { createCallFiles } from "./call-files.ts";
import { CALL_LISTS } from "./calls.ts";
import { startStub } from "./client.ts";
import { expectCalls } from "./compare.ts";
import { life, restoring } from "./life-calls.ts";

describe.each(CALL_LISTS.map((list) => [list.title, list] as const))("the stub and %s:", (_title, list) => {
  test("every call has the answer of the real program", async () => {
    using files = createCallFiles();
    await using stub = await startStub();
    await expectCalls(stub, list.calls(files.dir), () => stub.stub.violations().length);
    stub.stub.expectViolations();
  });
});

test("the stub's machine lives, is saved and restored as the real one", async () => {
  using files = createCallFiles();
  {
    await using stub = await startStub();
    await expectCalls(stub, life(files.dir), () => stub.stub.violations().length);
    stub.stub.expectViolations();
  }
  await using clone = await startStub();
  const answers = await expectCalls(clone, restoring(files.dir), () => clone.stub.violations().length);
  expect(answers[1]?.body).toMatchObject({ state: "Running" });
});

test("a broken rule fails the test at its end", async () => {
  const stub = await startStub();
  await stub.call("PUT", "/machine-config", { vcpu_count: 0, mem_size_mib: 1 });
  const failure = await Promise.resolve(stub[Symbol.asyncDispose]()).catch((error: unknown) => error);
  expect(String(failure)).toContain("PUT /machine-config: ");
});

test("a process that is left running fails the test at its end, and is ended", async () => {
  await using stub = await startStub();
  const failure = await Promise.resolve(stub.stub[Symbol.asyncDispose]()).catch((error: unknown) => error);
  expect(String(failure)).toContain(`left running: ${stub.child.pid}`);
  expect((await stub.exited).signal).toBe("SIGKILL");
});
