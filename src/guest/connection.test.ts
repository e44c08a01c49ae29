/** The host's end of the protocol: what a good agent gets through, and what a hostile one does not. */
import { expect, test } from "bun:test";
import { refusal } from "../../test/support/refusal.ts";
import { channelPair, ScriptedAgent } from "../../test/support/scripted-agent.ts";
import { AgentConnection } from "./connection.ts";
import {
  encodeFrame,
  FRAME,
  type Frame,
  FrameDecoder,
  HANDSHAKE_TAG,
  MAX_PAYLOAD,
  WINDOW,
} from "./frames.ts";

const signal = new AbortController().signal;

async function connected(onFrame?: (frame: Frame, agent: ScriptedAgent) => void) {
  const [host, guest] = channelPair();
  const agent = new ScriptedAgent(guest, onFrame);
  const connection = await AgentConnection.open(host, { fresh: true, signal });
  return { connection, agent, host, [Symbol.dispose]: () => connection.close() };
}

/** A deterministic stream of bytes (xorshift32). */
function noise(seed: number, length: number): Uint8Array {
  let state = seed || 1;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  });
}

test("open() learns the agent's facts, also behind stale bytes that look like an ACK", async () => {
  const [host, guest] = channelPair();
  const stale = encodeFrame(FRAME.ack, 0, noise(3, 60), HANDSHAKE_TAG);
  host.push(stale.subarray(5));
  host.push(noise(7, 100_000));
  const agent = new ScriptedAgent(guest);
  const connection = await AgentConnection.open(host, { fresh: false, signal });
  expect(connection.facts).toMatchObject({ agent: "0.1.0", bootId: "b-1" });
  expect(agent.frames).toEqual([]);
  connection.close();
});

/** What repeats the nonce, and is no ACK. */
const FALSE_ACKS: readonly (readonly [string, (nonce: Buffer) => Uint8Array])[] = [
  ["an echo of SYNC", (nonce) => encodeFrame(FRAME.sync, 0, Buffer.concat([nonce, ONE]), HANDSHAKE_TAG)],
  ["an ACK of a stream", (nonce) => encodeFrame(FRAME.ack, 1, Buffer.concat([nonce, ONE]), HANDSHAKE_TAG)],
  ["an ACK that is too short", (nonce) => encodeFrame(FRAME.ack, 0, nonce, HANDSHAKE_TAG)],
  ["an ACK with another tag", (nonce) => encodeFrame(FRAME.ack, 0, Buffer.concat([nonce, ONE]), 7)],
  ["the bare nonce", (nonce) => nonce],
];
const ONE = Buffer.from([1, 0]);

test.each(FALSE_ACKS)("open() finds the ACK behind %s in one piece of bytes", async (_, falseAck) => {
  const [host, guest] = channelPair();
  guest.on("data", (sync: Buffer) => {
    const nonce = sync.subarray(8, 24);
    const facts = { agent: "0.1.0", bootId: "b-2", kernel: "6.1", uptimeMs: 5 };
    const payload = Buffer.concat([nonce, ONE, Buffer.from(JSON.stringify(facts))]);
    guest.write(Buffer.concat([falseAck(nonce), encodeFrame(FRAME.ack, 0, payload, HANDSHAKE_TAG)]));
  });
  const within = AbortSignal.timeout(10_000);
  const connection = await AgentConnection.open(host, { fresh: true, signal: within });
  expect(connection.facts.bootId).toBe("b-2");
  connection.close();
});

test("open() gives up after 16 MiB without an ACK", async () => {
  const [host] = channelPair();
  const opening = refusal(AgentConnection.open(host, { fresh: true, signal }), "guest_error");
  const chunk = noise(9, 1024 * 1024);
  for (let i = 0; i < 17; i += 1) host.push(chunk);
  expect((await opening).message).toContain("did not answer SYNC");
});

test("open() ends with its signal, and with its channel", async () => {
  const [host] = channelPair();
  const abort = new AbortController();
  const opening = refusal(AgentConnection.open(host, { fresh: true, signal: abort.signal }), "cancelled");
  abort.abort();
  await opening;
  expect(host.destroyed).toBe(true);
  // What breaks later is nobody's.
  host.emit("error", new Error("write EPIPE"));
  const [other] = channelPair();
  const second = refusal(AgentConnection.open(other, { fresh: true, signal }), "guest_error");
  other.destroy();
  await second;
});

test("a stream carries its request, its data and its result", async () => {
  const output: string[] = [];
  using pair = await connected((frame, agent) => {
    if (frame.type !== FRAME.open) return;
    agent.send(FRAME.data, frame.stream, Buffer.from("\u0001hello"));
    agent.send(FRAME.close, frame.stream, { ok: { exitCode: 7 } });
  });
  const stream = pair.connection.openStream(
    { kind: "exec", argv: ["x"] },
    { onData: (channel, bytes) => output.push(`${channel}:${Buffer.from(bytes).toString()}`) },
  );
  expect(await stream.result).toEqual({ exitCode: 7 });
  expect(output).toEqual(["1:hello"]);
  expect(JSON.parse(Buffer.from(pair.agent.frames[0]?.payload ?? []).toString())).toMatchObject({
    kind: "exec",
  });
});

test("a guest's error keeps its code when it is one of ours, and its own code in the details", async () => {
  using pair = await connected((frame, agent) => {
    const { kind } = JSON.parse(Buffer.from(frame.payload).toString()) as { kind: string };
    agent.send(FRAME.close, frame.stream, { error: { code: kind, message: "no" } });
  });
  const known = await refusal(pair.connection.openStream({ kind: "not_found" }).result);
  expect(known).toMatchObject({ code: "not_found", message: "no" });
  const foreign = await refusal(pair.connection.openStream({ kind: "command_not_found" }).result);
  expect(foreign).toMatchObject({ code: "guest_error", details: { guestCode: "command_not_found" } });
});

test("sendData() never goes beyond the guest's credit, and returnCredit() never beyond what came", async () => {
  using pair = await connected();
  const stream = pair.connection.openStream({ kind: "exec" });
  stream.sendData(new Uint8Array(WINDOW));
  expect(stream.sendCredit).toBe(0);
  expect(() => stream.sendData(new Uint8Array(1))).toThrow("room");
  stream.returnCredit(1, 1_000_000);
  expect(pair.agent.frames.filter((frame) => frame.type === FRAME.credit)).toEqual([]);
});

const CREDIT_TOO_MUCH = Buffer.from([0, 1, 0, 0, 0]);
test.each([
  ["data beyond its credit", FRAME.data, 1, Buffer.concat([Buffer.from([1]), Buffer.alloc(200_000)]), 2],
  ["data on channel 0", FRAME.data, 1, Buffer.from([0, 65]), 1],
  ["empty data", FRAME.data, 1, Buffer.from([1]), 1],
  ["credit that nobody spent", FRAME.credit, 1, CREDIT_TOO_MUCH, 1],
  ["a close that is no JSON", FRAME.close, 1, Buffer.from("{oops"), 1],
  ["a close that is an array", FRAME.close, 1, Buffer.from("[]"), 1],
  ["a control that is no UTF-8", FRAME.control, 1, Buffer.from([0xff, 0xfe]), 1],
  ["data after the end of its channel", FRAME.data, 1, Buffer.from([2, 65]), 1],
  ["the end of a channel twice", FRAME.end, 1, Buffer.from([2]), 1],
  ["data of a stream that was never opened", FRAME.data, 5, Buffer.from([1, 65]), 1],
  ["the result of a stream of its own", FRAME.close, 2, Buffer.from('{"ok":{}}'), 1],
  ["an OPEN on our stream", FRAME.open, 1, Buffer.from("{}"), 1],
  ["a SYNC", FRAME.sync, 0, Buffer.alloc(18), 1],
  ["a PING of more than 8 bytes", FRAME.ping, 0, Buffer.alloc(9), 1],
] as const)(
  "a guest that sends %s loses its connection, and every stream hears why",
  async (_, type, id, payload, times) => {
    using pair = await connected();
    const stream = pair.connection.openStream({ kind: "exec" });
    const other = pair.connection.openStream({ kind: "stats" });
    pair.agent.send(FRAME.end, stream.id, Buffer.from([2]));
    expect(stream.over).toBe(false);
    for (let i = 0; i < times; i += 1) pair.agent.send(type, id, payload);
    const reason = await pair.connection.closed;
    expect(reason.code).toBe("guest_error");
    expect((await refusal(stream.result)).code).toBe("guest_error");
    expect((await refusal(other.result)).code).toBe("guest_error");
    expect(() => pair.connection.openStream({ kind: "stats" })).toThrow();
  },
);

test("credit of nothing is heard by nobody, however often it is given", async () => {
  using pair = await connected();
  const heard: number[] = [];
  const stream = pair.connection.openStream(
    { kind: "exec" },
    { onCredit: (bytes) => void heard.push(bytes) },
  );
  stream.sendData(new Uint8Array(7));
  for (const bytes of [0, 0, 7]) pair.agent.send(FRAME.credit, stream.id, Buffer.from([0, bytes, 0, 0, 0]));
  pair.agent.send(FRAME.close, stream.id, { ok: {} });
  await stream.result;
  expect(heard).toEqual([7]);
});

/** A payload, mostly one that fits the type of frame. */
function anyPayload(type: number, pick: (limit: number) => number): Uint8Array {
  const text = (...texts: string[]): Uint8Array => new TextEncoder().encode(texts[pick(texts.length)]);
  switch (pick(30) === 0 ? pick(12) : type) {
    case FRAME.data:
      return Uint8Array.of(1 + pick(2), ...noise(1 + pick(1000), 1 + pick(100)));
    case FRAME.credit:
      return Uint8Array.of(0, pick(2), 0, 0, 0);
    case FRAME.end:
      return Uint8Array.of(1 + pick(2));
    case FRAME.control:
      return text("{}", '{"started":{}}', '{"accepted":[]}');
    case FRAME.close:
      return text(
        '{"ok":{}}',
        '{"error":{}}',
        '{"error":{"code":7,"message":[]}}',
        '{"ok":1}',
        '{"error":null}',
      );
    default:
      return noise(1 + pick(1000), pick(20));
  }
}

test("well-formed frames in any order end a connection for a reason or not at all, and nobody hears of a stream that is over", async () => {
  let survived = 0;
  for (let seed = 1; seed <= 400; seed += 1) {
    const numbers = noise(seed, 4_000);
    let at = 0;
    const pick = (limit: number): number => {
      at = (at + 2) % (numbers.length - 1);
      return ((numbers[at] ?? 0) * 256 + (numbers[at + 1] ?? 0)) % limit;
    };
    using pair = await connected();
    const heard = new Map<number, number>();
    const streams = [0, 1, 2].map((index) => {
      const alive = (): void => {
        if (streams[index]?.over === true) throw new Error(`stream ${index} is over`);
      };
      return pair.connection.openStream(
        { kind: "exec" },
        {
          onData: (_, bytes) => {
            alive();
            heard.set(index, (heard.get(index) ?? 0) + bytes.length);
          },
          onCredit: alive,
          onEnd: alive,
          onControl: alive,
        },
      );
    });
    for (const stream of streams.slice(0, 2)) stream.sendData(new Uint8Array(100));
    streams[2]?.reset();
    for (let i = 0; i < 20; i += 1) {
      const likely = [FRAME.data, FRAME.data, FRAME.data, FRAME.control, FRAME.control, FRAME.credit];
      const type = pick(12) === 0 ? 1 + pick(11) : (likely[pick(likely.length)] ?? FRAME.data);
      const stream = pick(60) === 0 ? pick(9) : 1 + 2 * pick(3);
      pair.agent.send(type, stream, anyPayload(type, pick));
    }
    await new Promise(setImmediate);
    for (const bytes of heard.values()) expect(bytes).toBeLessThanOrEqual(2 * WINDOW);
    const over = await Promise.race([pair.connection.closed, Promise.resolve(undefined)]);
    if (over === undefined) survived += 1;
    else expect(over.code).toBe("guest_error");
    expect(over?.message ?? "").not.toContain("is over");
    pair.connection.close();
    const ends = await Promise.allSettled(streams.map((stream) => stream.result));
    expect(ends).toHaveLength(3);
  }
  // Both happen, or this would say little.
  expect(survived).toBeGreaterThan(20);
  expect(survived).toBeLessThan(380);
});

test("frames for a stream that is over are nobody's, and harmless", async () => {
  using pair = await connected();
  const stream = pair.connection.openStream({ kind: "exec" });
  stream.reset();
  pair.agent.send(FRAME.data, stream.id, Buffer.from("\u0001late"));
  pair.agent.send(FRAME.close, stream.id, { ok: {} });
  const next = pair.connection.openStream({ kind: "stats" });
  pair.agent.send(FRAME.close, next.id, { ok: { a: 1 } });
  expect(await next.result).toEqual({ a: 1 });
  expect((await refusal(stream.result)).code).toBe("cancelled");
});

test("a PING is answered with its own payload", async () => {
  using pair = await connected();
  pair.agent.send(FRAME.ping, 0, Buffer.from("12345678"));
  const next = pair.connection.openStream({ kind: "stats" });
  pair.agent.send(FRAME.close, next.id, { ok: {} });
  await next.result;
  const pong = pair.agent.frames.find((frame) => frame.type === FRAME.pong);
  expect(Buffer.from(pong?.payload ?? []).toString()).toBe("12345678");
});

test("PINGs of a guest that does not read are not answered without end", async () => {
  using pair = await connected();
  // From here on nothing leaves.
  pair.host._write = () => undefined;
  const ping = new Uint8Array(8);
  // Their answers would take more than what may wait.
  for (let i = 0; i < 60_000; i += 1) pair.agent.send(FRAME.ping, 0, ping);
  await new Promise(setImmediate);
  expect(pair.host.writableLength).toBeLessThan(4 * WINDOW + 64);
  expect(pair.connection.responsive).toBe(true);
});

test("openStream() refuses the 257th stream and a request above the frame cap", async () => {
  using pair = await connected();
  for (let i = 0; i < 256; i += 1) pair.connection.openStream({ kind: "exec" });
  expect(() => pair.connection.openStream({ kind: "exec" })).toThrow("256");
  using other = await connected();
  expect(() => other.connection.openStream({ kind: "exec", argv: ["x".repeat(MAX_PAYLOAD)] })).toThrow(
    "256 KiB",
  );
});

test("FrameDecoder yields the same frames however the bytes are cut, with padding between them", () => {
  const frames = [
    encodeFrame(FRAME.data, 1, noise(1, 1000), 42),
    new Uint8Array(37),
    encodeFrame(FRAME.close, 256, new TextEncoder().encode("{}"), 42),
    encodeFrame(FRAME.end, 3, new Uint8Array(1), 42),
  ];
  const bytes = Buffer.concat(frames);
  const whole = decode(bytes, bytes.length);
  expect(whole.frames.map((frame) => [frame.type, frame.stream, frame.payload.length])).toEqual([
    [FRAME.data, 1, 1000],
    [FRAME.close, 256, 2],
    [FRAME.end, 3, 1],
  ]);
  for (const size of [1, 2, 7, 11, 13]) expect(decode(bytes, size)).toEqual(whole);
});

test("FrameDecoder survives 2,000 mutated streams: it yields frames or one violation, and holds one frame at most", () => {
  const good = Buffer.concat([
    encodeFrame(FRAME.data, 1, noise(5, 300), 42),
    encodeFrame(FRAME.control, 2, new TextEncoder().encode('{"a":1}'), 42),
  ]);
  for (let seed = 1; seed <= 2000; seed += 1) {
    const bytes = Buffer.from(good);
    const changes = noise(seed, 8);
    for (let i = 0; i + 2 < 8; i += 3) {
      bytes[((changes[i] ?? 0) * 256 + (changes[i + 1] ?? 0)) % bytes.length] = changes[i + 2] ?? 0;
    }
    const { frames, violation } = decode(bytes, 1 + (seed % 50));
    for (const frame of frames) expect(frame.payload.length).toBeLessThanOrEqual(MAX_PAYLOAD);
    expect([undefined, "type", "length", "tag"]).toContain(violation);
  }
});

function decode(bytes: Uint8Array, size: number): { frames: Frame[]; violation: string | undefined } {
  const frames: Frame[] = [];
  const decoder = new FrameDecoder(42, (frame) => frames.push({ ...frame, payload: frame.payload.slice() }));
  for (let at = 0; at < bytes.length; at += size) decoder.push(bytes.subarray(at, at + size));
  return { frames, violation: decoder.violation };
}
