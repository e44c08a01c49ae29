/** Writing a file into a guest: credit, the guest's refusals, and every way in which it may be cut short. */
import { expect, test } from "bun:test";
import { refusal } from "../../test/support/refusal.ts";
import { channelPair, ScriptedAgent } from "../../test/support/scripted-agent.ts";
import { Agent } from "./agent.ts";
import { FRAME, type Frame, WINDOW } from "./frames.ts";

interface Pair extends Disposable {
  readonly guest: Agent;
  readonly agent: ScriptedAgent;
}

async function connected(onFrame?: (frame: Frame, agent: ScriptedAgent) => void): Promise<Pair> {
  const [host, end] = channelPair();
  const agent = new ScriptedAgent(end, onFrame);
  const guest = await Agent.connect(host, { fresh: true, signal: new AbortController().signal });
  return { guest, agent, [Symbol.dispose]: () => guest.close() };
}

function credit(bytes: number): Uint8Array {
  const payload = new Uint8Array(5);
  new DataView(payload.buffer).setUint32(1, bytes, true);
  return payload;
}

const types = (agent: ScriptedAgent): number[] => agent.frames.map(({ type }) => type);
const PLAIN = { mode: 0o600, timeoutMs: 10_000 };

/** Takes everything, and gives credit back only when the host has none left. */
async function takingAll(): Promise<Pair & { readonly content: () => Buffer }> {
  const pieces: Uint8Array[] = [];
  let owed = 0;
  const pair = await connected((frame, agent) => {
    if (frame.type === FRAME.data) {
      pieces.push(frame.payload.slice(1));
      owed += frame.payload.length - 1;
      expect(owed).toBeLessThanOrEqual(WINDOW);
      if (owed < WINDOW) return;
      owed = 0;
      setImmediate(() => agent.send(FRAME.credit, frame.stream, credit(WINDOW)));
    }
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (frame.type === FRAME.end) agent.send(FRAME.close, frame.stream, { ok: { bytes } });
  });
  return { ...pair, content: () => Buffer.concat(pieces) };
}

test("writeFile() sends many windows within the guest's credit, from bytes or from pieces", async () => {
  const content = Buffer.from(Array.from({ length: 1_000_003 }, (_, index) => index % 251));
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < content.length; at += 70_001) yield content.subarray(at, at + 70_001);
    yield new Uint8Array(0);
  }
  for (const source of [content, pieces()]) {
    using pair = await takingAll();
    expect(await pair.guest.writeFile("/root/x", { ...PLAIN, content: source })).toBe(content.length);
    expect(pair.content().equals(content)).toBe(true);
    expect(JSON.parse(Buffer.from(pair.agent.frames[0]?.payload ?? []).toString())).toEqual({
      kind: "write",
      path: "/root/x",
      mode: 0o600,
      uid: 0,
      gid: 0,
    });
    expect(types(pair.agent)).not.toContain(FRAME.reset);
  }
  using pair = await takingAll();
  expect(await pair.guest.writeFile("/root/x", { ...PLAIN, content: new Uint8Array(0) })).toBe(0);
  expect(types(pair.agent)).toEqual([FRAME.open, FRAME.end]);
});

test("writeFile() ends with the guest's reason, also in the midst of the content, which is read no further", async () => {
  for (const at of [FRAME.open, FRAME.data, FRAME.end]) {
    using pair = await connected((frame, agent) => {
      const error = { code: "permission_denied", message: "writing /root/x: no" };
      if (frame.type === at) agent.send(FRAME.close, frame.stream, { error });
    });
    let read = 0;
    let released = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (; at !== FRAME.end || read < 3; read += 1) yield new Uint8Array(10_000);
      } finally {
        released = true;
      }
    }
    const error = await refusal(pair.guest.writeFile("/root/x", { ...PLAIN, content: endless() }));
    expect(error).toMatchObject({ code: "permission_denied", message: "writing /root/x: no" });
    expect([released, read < 100]).toEqual([true, true]);
  }
});

test("writeFile() gives up and tells the guest: at its deadline, with its caller, and when the content fails", async () => {
  // This guest gives no credit.
  using pair = await connected();
  const content = new Uint8Array(2 * WINDOW);
  const late = await refusal(pair.guest.writeFile("/root/x", { mode: 0o600, timeoutMs: 20, content }));
  expect(late).toMatchObject({ code: "timeout" });
  expect(late.message).toContain("writing /root/x in the guest took longer");
  const signal = AbortSignal.abort();
  expect((await refusal(pair.guest.writeFile("/root/x", { ...PLAIN, signal, content }))).code).toBe(
    "cancelled",
  );
  const broken = (async function* (): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(5);
    throw new Error("the source broke");
  })();
  const failed = await pair.guest.writeFile("/root/x", { ...PLAIN, content: broken }).catch(String);
  expect(failed).toBe("Error: the source broke");
  expect(types(pair.agent).filter((type) => type === FRAME.reset).length).toBe(3);
  expect(types(pair.agent)).not.toContain(FRAME.end);
});

test("writeFile() does not believe a guest that wrote another number of bytes, or a connection that is lost", async () => {
  for (const bytes of [3, "5", null, "x".repeat(1000)]) {
    using pair = await connected((frame, agent) => {
      if (frame.type === FRAME.end) agent.send(FRAME.close, frame.stream, { ok: { bytes } });
    });
    const error = await refusal(pair.guest.writeFile("/root/x", { ...PLAIN, content: new Uint8Array(5) }));
    expect(error.code).toBe("guest_error");
    expect(error.message.length).toBeLessThan(100);
  }
  using pair = await connected((frame) => {
    if (frame.type === FRAME.data) setImmediate(() => pair.guest.close());
  });
  const lost = await refusal(
    pair.guest.writeFile("/root/x", { ...PLAIN, content: new Uint8Array(2 * WINDOW) }),
  );
  expect(lost.code).toBe("unavailable");
});
