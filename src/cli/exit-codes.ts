/** Exit codes: a guest command's own; 125 when banger itself failed in run or exec, 126 and 127 as a shell would; 1, 2. */
import type { BangerError } from "../model/errors.ts";
import { isInterrupted } from "./interrupt.ts";

type Ending =
  | "failure"
  | "usage"
  | "ownFailure"
  | "notExecutable"
  | "notFound"
  | "interrupted"
  | "readerGone";

export const EXIT: Readonly<Record<Ending, number>> = {
  failure: 1,
  usage: 2,
  ownFailure: 125,
  notExecutable: 126,
  notFound: 127,
  /** 128 + SIGINT. */
  interrupted: 130,
  /** 128 + SIGPIPE. */
  readerGone: 141,
};

/** The code for an error of every other command. */
export function exitCodeOf(error: BangerError): number {
  return isInterrupted(error) ? EXIT.interrupted : EXIT.failure;
}

/** The code for an error of `run`, `exec` or `shell`. */
export function exitCodeOfCommand(error: BangerError): number {
  if (error.details["guestCode"] === "command_not_found") return EXIT.notFound;
  if (error.details["guestCode"] === "command_not_executable") return EXIT.notExecutable;
  return error.code === "cancelled" ? EXIT.interrupted : EXIT.ownFailure;
}
