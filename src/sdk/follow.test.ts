/** What follows, with a daemon that is made up. */
import { expect, test } from "bun:test";
import { refusal } from "../../test/support/refusal.ts";
import { createScriptedTransport } from "../../test/support/scripted-transport.ts";
import { follow, MAX_WAITING } from "./follow.ts";

test("follow() yields what came, in order, and then says why there is no more", async () => {
  const { transport, open, say, end, closed } = createScriptedTransport();
  const messages = follow(transport, "/", undefined);
  const first = messages.next();
  open();
  say({ n: 1 });
  expect(await first).toEqual({ done: false, value: '{"n":1}' });
  // While the first one is being looked at.
  say({ n: 2 });
  end("code 1006");
  expect(await messages.next()).toEqual({ done: false, value: '{"n":2}' });
  expect((await refusal(messages.next(), "unavailable")).cure).toContain("banger daemon status");
  expect(closed()).toBe(true);
});

test("follow() ends when the daemon has ended it for good", async () => {
  const { transport, open, end } = createScriptedTransport();
  const next = follow(transport, "/", undefined).next();
  open();
  end("code 1000");
  expect(await next).toEqual({ done: true, value: undefined });
});

test("follow() ends with its signal, also while the daemon says nothing", async () => {
  const { transport, open, closed } = createScriptedTransport();
  const gone = new AbortController();
  const next = follow(transport, "/", gone.signal).next();
  open();
  gone.abort();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(closed()).toBe(true);
});

test("follow() keeps no more than its limit for a reader that does not come", async () => {
  const { transport, open, bytes, closed } = createScriptedTransport();
  const messages = follow(transport, "/", undefined);
  const first = messages.next();
  open();
  bytes(new Uint8Array(MAX_WAITING));
  expect(await first).toMatchObject({ done: false });
  bytes(new Uint8Array(MAX_WAITING));
  expect(closed()).toBe(false);
  bytes(new Uint8Array(1));
  expect(closed()).toBe(true);
  bytes(new Uint8Array(1));
  expect(await messages.next()).toMatchObject({ done: false });
  await refusal(messages.next(), "resource_exhausted");
});
