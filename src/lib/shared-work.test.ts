import { describe, expect, test } from "bun:test";
import { BangerError } from "../model/errors.ts";
import { SharedWork, type WorkContext } from "./shared-work.ts";

/** Work that the test ends by hand, and that ends by itself when it is aborted. */
function createWork(): {
  work: (context: WorkContext) => Promise<string>;
  finish: (value: string) => void;
  contexts: WorkContext[];
} {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const contexts: WorkContext[] = [];
  const work = (context: WorkContext): Promise<string> => {
    contexts.push(context);
    context.signal.addEventListener("abort", () => reject(new BangerError("cancelled", "aborted")));
    return promise;
  };
  return { work, finish: resolve, contexts };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "none",
    (error: unknown) => BangerError.from(error).code,
  );
}

describe("SharedWork", () => {
  test("does the work once for all who ask meanwhile, and anew afterwards", async () => {
    const shared = new SharedWork<string>();
    const { work, finish, contexts } = createWork();
    const both = Promise.all([shared.run("k", {}, work), shared.run("k", {}, work)]);
    finish("done");
    expect(await both).toEqual(["done", "done"]);
    expect(contexts.length).toBe(1);
    expect(await shared.run("k", {}, async () => "again")).toBe("again");
  });

  test("an aborted waiter leaves the work to the others", async () => {
    const shared = new SharedWork<string>();
    const { work, finish, contexts } = createWork();
    const controller = new AbortController();
    const leaving = shared.run("k", { signal: controller.signal }, work);
    const staying = shared.run("k", { signal: new AbortController().signal }, work);
    controller.abort();
    expect(await codeOf(leaving)).toBe("cancelled");
    expect(contexts[0]?.signal.aborted).toBe(false);
    finish("done");
    expect(await staying).toBe("done");
  });

  test("the work is aborted when the last waiter leaves, and who comes then starts anew", async () => {
    const shared = new SharedWork<string>();
    const first = createWork();
    const controller = new AbortController();
    const leaving = shared.run("k", { signal: controller.signal }, first.work);
    await Promise.resolve();
    controller.abort();
    expect(await codeOf(leaving)).toBe("cancelled");
    expect(first.contexts[0]?.signal.aborted).toBe(true);
    expect(await shared.run("k", {}, async () => "anew")).toBe("anew");
  });

  test("tells everybody the stages, and a late one the current stage", async () => {
    const shared = new SharedWork<string>();
    const { work, finish, contexts } = createWork();
    const early: string[] = [];
    const late: string[] = [];
    const one = shared.run("k", { onStage: (stage) => early.push(stage) }, work);
    await Promise.resolve();
    contexts[0]?.onStage("first");
    const two = shared.run("k", { onStage: (stage) => late.push(stage) }, work);
    contexts[0]?.onStage("second");
    finish("done");
    await Promise.all([one, two]);
    expect(early).toEqual(["first", "second"]);
    expect(late).toEqual(["first", "second"]);
  });

  test("a failure reaches everybody and is not remembered", async () => {
    const shared = new SharedWork<string>();
    const fail = async (): Promise<string> => {
      throw new BangerError("unavailable", "no");
    };
    const codes = await Promise.all([codeOf(shared.run("k", {}, fail)), codeOf(shared.run("k", {}, fail))]);
    expect(codes).toEqual(["unavailable", "unavailable"]);
    expect(await shared.run("k", {}, async () => "fine")).toBe("fine");
  });

  test("who has given up before does not start anything", async () => {
    const { work, contexts } = createWork();
    expect(await codeOf(new SharedWork<string>().run("k", { signal: AbortSignal.abort() }, work))).toBe(
      "cancelled",
    );
    expect(contexts.length).toBe(0);
  });
});
