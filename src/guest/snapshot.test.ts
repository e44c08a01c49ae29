/** Freeze, thaw and resumed, against the golden requests that the agent's tests read, too. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { refusal } from "../../test/support/refusal.ts";
import { channelPair, ScriptedAgent } from "../../test/support/scripted-agent.ts";
import { BangerError } from "../model/errors.ts";
import { Agent } from "./agent.ts";
import { FRAME } from "./frames.ts";
import type { GuestIdentity } from "./snapshot.ts";

interface Golden {
  readonly request: Readonly<Record<string, unknown>>;
  readonly answer: Readonly<Record<string, unknown>>;
}

function golden(name: string): Golden {
  const path = join(import.meta.dir, "../../protocol/requests", `${name}.json`);
  return JSON.parse(readFileSync(path, "utf8")) as Golden;
}

type Requests = Record<string, unknown>[];

/** An agent that answers each request with what `answer` says, if anything. */
async function connected(
  answer: (request: Readonly<Record<string, unknown>>) => object | undefined,
): Promise<{ guest: Agent; requests: Requests; scripted: ScriptedAgent } & Disposable> {
  const requests: Requests = [];
  const [host, end] = channelPair();
  const scripted = new ScriptedAgent(end, (frame, agent) => {
    if (frame.type !== FRAME.open) return;
    const request = JSON.parse(Buffer.from(frame.payload).toString()) as Record<string, unknown>;
    requests.push(request);
    const answered = answer(request);
    if (answered !== undefined) agent.send(FRAME.close, frame.stream, answered);
  });
  const guest = await Agent.connect(host, { fresh: true, signal: new AbortController().signal });
  return { guest, requests, scripted, [Symbol.dispose]: () => guest.close() };
}

const whole = golden("resumed");
const { kind: _, unixTimeMs: __, entropy: ___, ...fields } = whole.request;
const identity = fields as unknown as GuestIdentity;
const onTime = (request: Readonly<Record<string, unknown>>): object => ({
  ok: { unixTimeMs: Number(request["unixTimeMs"]) },
});

describe("around a snapshot", () => {
  test("freeze() and thaw() send the golden requests", async () => {
    using pair = await connected(() => golden("freeze").answer);
    await pair.guest.freeze({ fileSystems: true, commands: false, timeoutMs: 10_000 });
    await pair.guest.freeze({ fileSystems: false, commands: true, timeoutMs: 5_000 });
    await pair.guest.thaw();
    const sent = ["freeze", "freeze-commands", "thaw"].map((name) => golden(name).request);
    expect(pair.requests).toEqual(sent);
  });

  test("resumed() sends the golden request with the time, and entropy that is never the same", async () => {
    using pair = await connected(onTime);
    const before = Date.now();
    await pair.guest.resumed(identity);
    await pair.guest.resumed(identity);
    const [first, second] = pair.requests.filter((request) => "entropy" in request);
    expect(first).toEqual({
      ...whole.request,
      unixTimeMs: expect.any(Number),
      entropy: expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/),
    });
    expect(first?.["unixTimeMs"]).toBeWithin(before, Date.now() + 1);
    expect(second?.["entropy"]).not.toBe(first?.["entropy"]);
  });

  test("resumed() sets the clock again when the first message was slow, by the golden request", async () => {
    let rounds = 0;
    using pair = await connected((request) => {
      rounds += 1;
      const until = performance.now() + (rounds === 1 ? 30 : 0);
      while (performance.now() < until);
      return onTime(request);
    });
    const { clockErrorMs } = await pair.guest.resumed(identity);
    expect(clockErrorMs).toBeWithin(0, 30);
    expect(pair.requests.length).toBeGreaterThan(1);
    expect(Object.keys(pair.requests[1] ?? {})).toEqual(Object.keys(golden("resumed-clock").request));
  });

  test("resumed() does not count what the guest needed for itself", async () => {
    using pair = await connected((request) => {
      const from = performance.now();
      while (performance.now() < from + 40);
      return { ok: { unixTimeMs: Number(request["unixTimeMs"]) + 41 } };
    });
    expect((await pair.guest.resumed(identity)).clockErrorMs).toBeLessThan(40);
  });

  test("resumed() refuses an agent that does not say its time", async () => {
    using pair = await connected(() => ({ ok: {} }));
    expect((await refusal(pair.guest.resumed(identity))).code).toBe("unsupported");
  });

  test("close() ends open streams with the reason that it is given", async () => {
    using pair = await connected(() => undefined);
    const stream = pair.guest.attach("e1", {});
    const reason = new BangerError("unavailable", "the VM was restored from a snapshot");
    pair.guest.close(reason);
    expect((await refusal(stream.result)).message).toBe(reason.message);
    expect(await pair.guest.closed).toBe(reason);
  });
});
