/** A long operation as NDJSON: lines of progress, then one result or error. A client that goes away cancels it. */
import type { ProgressLine } from "../api/types/progress.ts";
import type { LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";

/** Runs `work` and streams what it says. The status is 200: an error comes as the last line. */
export function progressResponse(
  request: Request,
  headers: Readonly<Record<string, string>>,
  work: (options: LongOptions) => Promise<unknown>,
  onError: (error: BangerError) => void,
): Response {
  const encoder = new TextEncoder();
  const gone = new AbortController();
  request.signal.addEventListener("abort", () => gone.abort(clientGone()), { once: true });
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const say = (line: ProgressLine): void => {
        if (!gone.signal.aborted) controller.enqueue(encoder.encode(`${JSON.stringify(line)}\n`));
      };
      try {
        say({ event: "result", result: await work({ onProgress: say, signal: gone.signal }) });
      } catch (thrown) {
        const error = BangerError.from(thrown);
        onError(error);
        say({ event: "error", error: error.toBody() });
      }
      if (!gone.signal.aborted) controller.close();
    },
    cancel() {
      gone.abort(clientGone());
    },
  });
  return new Response(body, { headers: { ...headers, "content-type": "application/x-ndjson" } });
}

export function clientGone(): BangerError {
  return new BangerError("cancelled", "the client went away");
}
