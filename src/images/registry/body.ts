/** Whole bodies, up to a limit. */
import { BangerError } from "../../model/errors.ts";
import type { HttpAnswer } from "./http.ts";

export interface BodyLimit {
  readonly limitBytes: number;
  /** What it is, for the error. */
  readonly what: string;
}

/** Errors: `invalid_argument` (larger), and those of the exchange. A stated size that is too large is not waited for. */
export async function readBody(answer: HttpAnswer, { limitBytes, what }: BodyLimit): Promise<Buffer> {
  const stated = Number(answer.headers.get("content-length") ?? 0);
  if (stated > limitBytes) throw tooLarge(what, limitBytes);
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer.chunks()) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > limitBytes) throw tooLarge(what, limitBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, sizeBytes);
}

function tooLarge(what: string, limitBytes: number): BangerError {
  return new BangerError(
    "invalid_argument",
    `${what} has more than the ${limitBytes} bytes that it may have`,
  );
}
