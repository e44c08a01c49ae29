/** The real Firecracker against the same calls as the stub, so that the stub cannot drift from what it stands for. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createCallFiles } from "./call-files.ts";
import { CALL_LISTS } from "./calls.ts";
import { type ApiProcess, startApi } from "./client.ts";
import { expectCalls } from "./compare.ts";
import { life, restoring, toStart } from "./life-calls.ts";
import { findRealPrograms } from "./real-programs.ts";

const real = findRealPrograms("the real Firecracker against the stub's rules");

describe.skipIf(real === undefined)("the real Firecracker", () => {
  /** Why KVM makes no machine here; undefined when it does. */
  let refusal: string | undefined;

  beforeAll(async () => {
    using files = createCallFiles();
    await using api = await start(files.dir);
    const calls = toStart(files.dir);
    await expectCalls(api, calls.slice(0, -1));
    const last = calls.at(-1);
    const answer = await api.call("PUT", "/actions", last?.body);
    if (answer.status === 204) return;
    expect(answer).toMatchObject({ status: 400, message: expect.stringMatching(/^Start microvm error: /) });
    refusal = answer.message;
  });

  afterAll(() => {
    if (refusal !== undefined) console.warn(`skipped: what a started Firecracker does: ${refusal}`);
  });

  test.each(CALL_LISTS.map((list) => [list.title, list] as const))(
    "answers as the stub: %s",
    async (_, list) => {
      using files = createCallFiles();
      await using api = await start(files.dir);
      await expectCalls(api, list.calls(files.dir));
    },
  );

  test("lives, is saved and restored as the stub's machine", async () => {
    if (refusal !== undefined) return;
    using files = createCallFiles();
    {
      await using api = await start(files.dir);
      await expectCalls(api, life(files.dir));
    }
    await using clone = await start(files.dir, "clone");
    const answers = await expectCalls(clone, restoring(files.dir));
    expect(answers[1]?.body).toMatchObject({ state: "Running" });
  });
});

async function start(dir: string, name = "api"): Promise<ApiProcess> {
  if (real === undefined) throw new Error("there is no Firecracker");
  return await startApi(real.bin, { socketPath: join(dir, name), args: ["--id", "test", "--no-seccomp"] });
}
