/** The client's connection with a daemon that is made up: the test says what comes, and sees what was sent. */
import { expect } from "bun:test";
import type { Socket, SocketListener, Transport } from "../../src/sdk/transport.ts";

export interface ScriptedTransport {
  readonly transport: Transport;
  /** The text messages that were sent, parsed. */
  readonly sent: unknown[];
  /** Of the binary messages that were sent. */
  readonly sentBytes: () => number;
  readonly closed: () => boolean;
  readonly open: () => void;
  /** A text message of the daemon. */
  readonly say: (message: object) => void;
  /** A binary one. */
  readonly bytes: (bytes: Uint8Array) => void;
  /** The connection ends; `code 1000` is a good end. */
  readonly end: (reason: string) => void;
}

/** For one connection. As a WebSocket does, it refuses what is sent before it is open. */
export function createScriptedTransport(): ScriptedTransport {
  const sent: unknown[] = [];
  let [isOpen, isClosed, sentBytes] = [false, false, 0];
  let listener: SocketListener | undefined;
  const socket: Socket = {
    send: (data) => {
      if (!isOpen) throw new Error("the socket is not open yet");
      if (typeof data === "string") sent.push(JSON.parse(data));
      else sentBytes += data.length;
    },
    bufferedBytes: 0,
    close: () => {
      isClosed = true;
    },
  };
  return {
    transport: {
      request: () => expect.unreachable(),
      connect: (_, given) => {
        listener = given;
        return socket;
      },
    },
    sent,
    sentBytes: () => sentBytes,
    closed: () => isClosed,
    open: () => {
      isOpen = true;
      listener?.onOpen();
    },
    say: (message) => listener?.onText(JSON.stringify(message)),
    bytes: (bytes) => listener?.onBytes(bytes),
    end: (reason) => listener?.onClose(reason),
  };
}
