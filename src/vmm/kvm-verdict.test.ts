import { describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { judgeKvm, type KvmQuestion, type KvmTrial } from "./kvm-verdict.ts";
import { createVerdictCache } from "./verdict-cache.ts";

/** A host of one's own: a device node, a hypervisor program, a cache file and a count of the trials. */
class Host implements Disposable {
  readonly directory: string = mkdtempSync(join(tmpdir(), "banger-verdict-"));
  readonly cachePath: string = join(this.directory, "cache", "verdicts.json");
  readonly program: string = join(this.directory, "hypervisor");
  trial: KvmTrial = { works: true };
  trials = 0;
  nowMs = 0;

  constructor() {
    writeFileSync(this.program, "one");
    writeFileSync(this.device, "");
  }

  get device(): string {
    return join(this.directory, "kvm");
  }

  question(): KvmQuestion {
    return {
      program: this.program,
      // A new one each time, as in a new process.
      cache: createVerdictCache(this.cachePath),
      device: this.device,
      nowMs: () => this.nowMs,
      tryGuest: () => {
        this.trials++;
        return Promise.resolve(this.trial);
      },
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

describe("judgeKvm()", () => {
  test("runs the guest once and remembers that it works", async () => {
    using host = new Host();
    expect(await judgeKvm(host.question())).toEqual({ kind: "works" });
    expect(await judgeKvm(host.question())).toEqual({ kind: "works" });
    expect(host.trials).toBe(1);
    expect(statSync(host.cachePath).mode & 0o777).toBe(0o600);
  });

  test("says what the hypervisor said when the guest fails, and remembers it", async () => {
    using host = new Host();
    host.trial = { works: false, timedOut: false, words: "failed to set MSR" };
    const verdict = await judgeKvm(host.question());
    expect(verdict).toMatchObject({
      kind: "cannot-run",
      reason: "KVM is present but cannot run 64-bit guests here: a test guest failed (failed to set MSR)",
    });
    host.nowMs = 1e12;
    expect(await judgeKvm(host.question())).toEqual(verdict);
    expect(host.trials).toBe(1);
  });

  test("gives a guest that ran out of time another chance after an hour", async () => {
    using host = new Host();
    host.trial = { works: false, timedOut: true, words: "" };
    expect((await judgeKvm(host.question())).kind).toBe("cannot-run");
    host.trial = { works: true };
    host.nowMs = 3_599_999;
    expect((await judgeKvm(host.question())).kind).toBe("cannot-run");
    host.nowMs = 3_600_000;
    expect((await judgeKvm(host.question())).kind).toBe("works");
  });

  test("asks again when the hypervisor is another", async () => {
    using host = new Host();
    await judgeKvm(host.question());
    writeFileSync(host.program, "another version");
    await judgeKvm(host.question());
    expect(host.trials).toBe(2);
  });

  test("says that the device is absent, without a trial", async () => {
    using host = new Host();
    rmSync(host.device);
    expect(await judgeKvm(host.question())).toMatchObject({ kind: "absent" });
    expect(host.trials).toBe(0);
  });

  test.skipIf(process.getuid?.() === 0)(
    "says that the user may not open the device (skipped for root)",
    async () => {
      using host = new Host();
      chmodSync(host.device, 0);
      expect(await judgeKvm(host.question())).toMatchObject({
        kind: "no-permission",
        cure: expect.stringContaining("kvm"),
      });
    },
  );

  test.each(["", "{", "[]", "null", '{"version":2,"entries":[]}', '{"version":1,"entries":7}'])(
    "ignores a cache file of %j",
    async (content) => {
      using host = new Host();
      await judgeKvm(host.question());
      writeFileSync(host.cachePath, content);
      expect(await judgeKvm(host.question())).toEqual({ kind: "works" });
      expect(host.trials).toBe(2);
      expect(JSON.parse(readFileSync(host.cachePath, "utf8"))).toMatchObject({ version: 1 });
    },
  );

  test("ignores an entry that makes no sense", async () => {
    using host = new Host();
    await judgeKvm(host.question());
    const text = readFileSync(host.cachePath, "utf8");
    writeFileSync(host.cachePath, text.replace('"works":true', '"works":"perhaps"'));
    await judgeKvm(host.question());
    expect(host.trials).toBe(2);
  });
});

test("a verdict cache keeps a bounded number of entries, the newest", () => {
  using host = new Host();
  const cache = createVerdictCache(host.cachePath);
  for (let index = 0; index < 40; index++) cache.set(`key ${index}`, index);
  expect(cache.get("key 39")).toBe(39);
  expect(cache.get("key 0")).toBeUndefined();
  expect(JSON.parse(readFileSync(host.cachePath, "utf8")).entries).toHaveLength(16);
});
