/** The error of something that must fail. */
import { BangerError, type ErrorCode } from "../../src/model/errors.ts";

/** Awaits `work`, which must reject with a BangerError (of `code`, when given). */
export async function refusal(work: Promise<unknown>, code?: ErrorCode): Promise<BangerError> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof BangerError)) throw error;
    if (code !== undefined && error.code !== code) {
      throw new Error(`expected ${code}, got ${error.code}: ${error.message}`, { cause: error });
    }
    return error;
  }
  throw new Error(`expected ${code ?? "an error"}, and it succeeded`);
}
