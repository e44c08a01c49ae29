/** The client's end of a command, with a daemon that is made up. */
import { expect, test } from "bun:test";
import { refusal } from "../../test/support/refusal.ts";
import { createScriptedTransport, type ScriptedTransport } from "../../test/support/scripted-transport.ts";
import type { ExecServerMessage } from "../api/types/exec.ts";
import { Command, type CommandListener } from "./command.ts";

const FIRST = { type: "exec", exec: { argv: ["yes"] } } as const;

function createCommand(listener: CommandListener = {}): ScriptedTransport & {
  readonly command: Command;
  readonly say: (message: ExecServerMessage) => void;
  readonly output: (channel: 1 | 2, text: string) => void;
} {
  const script = createScriptedTransport();
  const command = new Command(script.transport, "/", { first: FIRST, listener });
  return {
    ...script,
    command,
    output: (channel, text) => script.bytes(Buffer.from([channel, ...Buffer.from(text)])),
  };
}

test("a handler of output that fails ends the command, and its error is how the command ended", async () => {
  const heard: string[] = [];
  const { command, open, sent, say, output } = createCommand({
    onStdout: (bytes) => {
      heard.push(Buffer.from(bytes).toString());
      throw new Error("no room");
    },
  });
  open();
  say({ type: "started" });
  output(1, "one");
  output(1, "two");
  await new Promise(setImmediate);
  expect(sent.at(-1)).toEqual({ type: "cancel" });
  say({
    type: "error",
    error: { code: "cancelled", message: "the client cancelled the command", details: {} },
  });
  expect(await command.exit.catch((error: unknown) => String(error))).toBe("Error: no room");
  expect(heard).toEqual(["one"]);
  expect(sent).toEqual([FIRST, { type: "cancel" }]);
});

test("output that came before the end is taken before the end is told", async () => {
  const order: string[] = [];
  const { command, open, say, output } = createCommand({
    onStdout: async (bytes) => {
      await new Promise(setImmediate);
      order.push(Buffer.from(bytes).toString());
    },
  });
  open();
  output(1, "one");
  output(1, "two");
  say({ type: "exit", exitCode: 3 });
  expect(await command.exit).toEqual({ exitCode: 3, timedOut: false });
  expect(order).toEqual(["one", "two"]);
});

test("a command that is cancelled before there is a connection never reaches the daemon", async () => {
  const { command, open, sent, closed } = createCommand();
  await command.cancel();
  await refusal(command.started, "cancelled");
  await refusal(command.exit, "cancelled");
  expect(closed()).toBe(true);
  open();
  expect(sent).toEqual([]);
});

test("before the start signals and keys to leave are dropped, and the last size is kept", () => {
  const { command, open, sent, say } = createCommand();
  command.resize({ cols: 1, rows: 1 });
  open();
  command.signal("INT");
  command.detach();
  command.resize({ cols: 80, rows: 24 });
  expect(sent).toEqual([FIRST]);
  say({ type: "started" });
  command.signal("INT");
  expect(sent).toEqual([FIRST, { type: "resize", cols: 80, rows: 24 }, { type: "signal", signal: "INT" }]);
});

test("a connection that is lost is unavailable, with the cure", async () => {
  const { command, open, end } = createCommand();
  open();
  end("code 1006");
  const { message, cure } = await refusal(command.exit, "unavailable");
  expect(message).toBe("the connection to the daemon was lost (code 1006)");
  expect(cure).toContain("banger daemon status");
});
