/** The client's end of a command, with a daemon that is made up. */
import { expect, test } from "bun:test";
import type { ExecClientMessage, ExecServerMessage } from "../api/types/exec.ts";
import { Command, type CommandListener } from "./command.ts";
import type { SocketListener } from "./transport.ts";

function createCommand(listener: CommandListener) {
  const sent: ExecClientMessage[] = [];
  let socket: SocketListener | undefined;
  const transport = {
    request: () => expect.unreachable(),
    connect: (_: string, given: SocketListener) => {
      socket = given;
      return {
        send: (data: string | Uint8Array) => {
          if (typeof data === "string") sent.push(JSON.parse(data) as ExecClientMessage);
        },
        bufferedBytes: 0,
        close: () => undefined,
      };
    },
  };
  const first = { type: "exec", exec: { argv: ["yes"] } } as const;
  const command = new Command(transport, "/", { first, listener });
  return {
    command,
    sent,
    say: (message: ExecServerMessage) => socket?.onText(JSON.stringify(message)),
    output: (channel: 1 | 2, text: string) => socket?.onBytes(Buffer.from([channel, ...Buffer.from(text)])),
  };
}

test("a handler of output that fails ends the command, and its error is how the command ended", async () => {
  const heard: string[] = [];
  const { command, sent, say, output } = createCommand({
    onStdout: (bytes) => {
      heard.push(Buffer.from(bytes).toString());
      throw new Error("no room");
    },
  });
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
  expect(sent.filter(({ type }) => type === "cancel")).toHaveLength(1);
});

test("output that came before the end is taken before the end is told", async () => {
  const order: string[] = [];
  const { command, say, output } = createCommand({
    onStdout: async (bytes) => {
      await new Promise(setImmediate);
      order.push(Buffer.from(bytes).toString());
    },
  });
  output(1, "one");
  output(1, "two");
  say({ type: "exit", exitCode: 3 });
  expect(await command.exit).toEqual({ exitCode: 3, timedOut: false });
  expect(order).toEqual(["one", "two"]);
});
