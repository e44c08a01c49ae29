/** The daemon's answers as text and lines, and what goes wrong on the way. */
import { BangerError } from "../model/errors.ts";
import { type HttpAnswer, isAbsent, isLost } from "./transport.ts";

export function connectionError(error: unknown): BangerError {
  if (isAbsent(error)) return new BangerError("unavailable", "no daemon answers", { cause: error });
  return isLost(error) ? daemonEnded(error) : BangerError.from(error);
}

export function daemonEnded(cause?: unknown): BangerError {
  return new BangerError("unavailable", "the daemon ended before the operation did", {
    cure: "repeat the command; the next daemon cleans up what was half done",
    cause,
  });
}

export async function* readBytes(answer: HttpAnswer): AsyncGenerator<Uint8Array> {
  try {
    yield* answer.body;
  } catch (error) {
    throw connectionError(error);
  }
}

export async function readText(answer: HttpAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readBytes(answer)) chunks.push(chunk);
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
