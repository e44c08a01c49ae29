/** Bytes as the body of an answer, whose first piece is waited for: what fails at once can still be told with a status. */
import { BangerError } from "../model/errors.ts";

/** Ends the source when the client goes. `report` gets what fails later, which cuts the connection. */
export async function startStream(
  source: AsyncIterable<Uint8Array>,
  report: (error: BangerError) => void,
): Promise<ReadableStream<Uint8Array>> {
  const pieces = source[Symbol.asyncIterator]();
  let next = await pieces.next();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        if (next.done === true) {
          controller.close();
          return;
        }
        controller.enqueue(next.value);
        next = await pieces.next();
      } catch (error) {
        report(BangerError.from(error));
        controller.error(error);
      }
    },
    async cancel() {
      await pieces.return?.();
    },
  });
}
