/** Which process 1 a guest gets: banger's agent, or the init of its image with the agent beside it. */
import { BangerError } from "./errors.ts";
import { quote } from "./names.ts";
import type { ImageConfig } from "./spec.ts";

export const INITS = ["agent", "systemd"] as const;
export type Init = (typeof INITS)[number];

/** Where distributions have them. */
const INIT_PROGRAM = /^(?:\/usr)?(?:\/s?bin\/(?:init|systemd)|\/lib\/systemd\/systemd)$/u;

/** Errors: `invalid_argument`. */
export function parseInit(text: string): Init {
  const found = INITS.find((init) => init === text);
  if (found !== undefined) return found;
  throw new BangerError("invalid_argument", `${quote(text)} is not an init`, {
    cure: `write ${INITS.join(" or ")}`,
    details: { field: "init" },
  });
}

/** The image's command when it is an init, which can run as process 1 only; undefined for any other. */
export function initCommand(image: ImageConfig): readonly string[] | undefined {
  const command = [...(image.entrypoint ?? []), ...(image.cmd ?? [])];
  return INIT_PROGRAM.test(command[0] ?? "") ? command : undefined;
}

export interface GuestInit {
  readonly init: Init;
  /** The init and its arguments; absent: where the image usually has one. */
  readonly initArgv?: readonly string[];
}

/** What was asked for, else what the image says. */
export function chooseInit(asked: Init | undefined, image: ImageConfig): GuestInit {
  const command = initCommand(image);
  if (asked === "agent" || (asked === undefined && command === undefined)) return { init: "agent" };
  return { init: "systemd", ...(command === undefined ? {} : { initArgv: command }) };
}
