/** The agent's requests: what becomes of answers that are slow, or odd. */
import { expect, test } from "bun:test";
import { refusal } from "../../test/support/refusal.ts";
import { channelPair, ScriptedAgent } from "../../test/support/scripted-agent.ts";
import { Agent } from "./agent.ts";
import { FRAME, type Frame } from "./frames.ts";

const STATS = {
  uptimeMs: 1,
  memoryTotalBytes: 2,
  memoryAvailableBytes: 1,
  cpuMs: 3,
  processes: 4,
  diskTotalBytes: 5,
  diskUsedBytes: 5,
};

async function connected(onFrame?: (frame: Frame, agent: ScriptedAgent) => void) {
  const [host, guest] = channelPair();
  const scripted = new ScriptedAgent(guest, onFrame);
  const agent = await Agent.connect(host, { fresh: true, signal: new AbortController().signal });
  return { agent, scripted, [Symbol.dispose]: () => agent.close() };
}

test("a guest that does not answer is asked for its figures once, and anew after its answer", async () => {
  using guest = await connected();
  const opened = () => guest.scripted.frames.filter((frame) => frame.type === FRAME.open);
  const asked = [guest.agent.stats(), guest.agent.stats(), guest.agent.stats()];
  expect(opened()).toHaveLength(1);
  guest.scripted.send(FRAME.close, opened()[0]?.stream ?? 0, { ok: STATS });
  for (const stats of asked) expect(await stats).toEqual(STATS);
  const failing = [guest.agent.stats(), guest.agent.stats()];
  expect(opened()).toHaveLength(2);
  guest.scripted.send(FRAME.close, opened()[1]?.stream ?? 0, { ok: { ...STATS, cpuMs: "many" } });
  for (const stats of failing) expect((await refusal(stats)).code).toBe("guest_error");
  const last = guest.agent.stats();
  guest.scripted.send(FRAME.close, opened()[2]?.stream ?? 0, { ok: STATS });
  expect(await last).toEqual(STATS);
});

test("a socket is told of whatever its program calls itself", async () => {
  const socket = { protocol: "tcp", address: "0.0.0.0", port: 80, pid: 7 };
  using guest = await connected((frame, agent) => {
    if (frame.type !== FRAME.open) return;
    const commands = ["nginx", "h\u00e4user", "\u001b[2J", "x".repeat(300), 5];
    const listeners = commands.map((command) => ({ ...socket, command }));
    agent.send(FRAME.close, frame.stream, { ok: { listeners: [...listeners, { ...socket, port: 0 }] } });
  });
  const heard = await guest.agent.listeners();
  expect(heard.map(({ command }) => command)).toEqual(["nginx", undefined, undefined, undefined, undefined]);
});
