/** Reading a channel of an SSH client, at the pace of who takes it. */
import type { ServerChannel } from "ssh2";

interface Sink {
  take(bytes: Uint8Array): Promise<void>;
  /** No more comes. */
  end(): Promise<void>;
}

/**
 * Hands what the client sends to `sink`, one piece after the other. Not an async iterator: that destroys the stream at the end of its
 * input, and the channel's other half with it. Errors of the sink go to `onError`.
 */
export function pump(channel: ServerChannel, sink: Sink, onError: (error: unknown) => void): void {
  let taken: Promise<void> = Promise.resolve();
  channel.on("data", (bytes: Uint8Array) => {
    channel.pause();
    taken = taken.then(async () => await sink.take(bytes)).then(() => void channel.resume());
    taken.catch(onError);
  });
  channel.on("end", () => {
    taken.then(async () => await sink.end()).catch(onError);
  });
}
