/** The daemon's answers as text and lines, and what goes wrong on the way. */
import { BangerError } from "../model/errors.ts";
import { type HttpAnswer, isAbsent, isLost } from "./transport.ts";

/** What an error of the transport means. Whoever gave the operation up hears just that, whatever the runtime makes of it. */
export function connectionError(error: unknown, signal: AbortSignal | undefined): BangerError {
  if (error instanceof BangerError) return error;
  if (signal?.aborted === true) return givenUp(signal);
  if (isAbsent(error)) {
    return new BangerError("unavailable", "no daemon answers", {
      cure: "start it with: banger daemon start",
      cause: error,
    });
  }
  return isLost(error) ? daemonEnded(error) : BangerError.from(error);
}

function givenUp({ reason }: AbortSignal): BangerError {
  if (reason instanceof BangerError) return reason;
  return new BangerError("cancelled", "the operation was cancelled", { cause: reason });
}

/** The end of a WebSocket that nobody asked for. */
export function connectionLost(reason: string): BangerError {
  return new BangerError("unavailable", `the connection to the daemon was lost (${reason})`, {
    cure: "see whether it runs with: banger daemon status; then repeat the command",
  });
}

export function daemonEnded(cause?: unknown): BangerError {
  return new BangerError("unavailable", "the daemon ended before the operation did", {
    cure: "repeat the command; the next daemon cleans up what was half done",
    cause,
  });
}

/** The body, with errors of ours. */
export async function* readBytes(
  { body }: HttpAnswer,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw connectionError(error, signal);
  }
}

export async function readText({ body }: HttpAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

export async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
