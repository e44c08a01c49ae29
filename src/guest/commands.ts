/** Commands of a guest as the agent tells of them: which there are, and how one ended. */
import { z } from "zod";
import { BangerError } from "../model/errors.ts";
import type { ExecSpec } from "../model/spec.ts";

/** A command that the agent runs or remembers. */
export interface GuestExec {
  readonly id: string;
  readonly pid: number;
  readonly argv: readonly string[];
  readonly startedMs: number;
  readonly running: boolean;
  /** On a terminal. Absent: the agent is too old to tell. */
  readonly tty?: boolean | undefined;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
}

/** So many commands are taken from one answer (MAX_EXECS of the protocol). */
export const MAX_EXECS = 512;

export const GuestExecSchema: z.ZodType<GuestExec> = z.object({
  id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  pid: z.int().min(1),
  argv: z.array(z.string().max(4096)).max(4096),
  startedMs: z.number().min(0),
  running: z.boolean(),
  tty: z.boolean().optional(),
  exitCode: z.int().min(0).max(255).optional(),
  signal: z
    .string()
    .regex(/^[A-Z0-9+]{1,16}$/)
    .optional(),
});

/** How a guest command, or its stream, ended. */
export type ExecResult =
  /** It goes on by itself, under this id. */
  | { readonly kind: "detached"; readonly id: string }
  | { readonly kind: "exited"; readonly exitCode: number }
  | { readonly kind: "signalled"; readonly signal: string; readonly timedOut: boolean };

/** The request that starts a command. */
export function execRequest(id: string, spec: ExecSpec, detach: boolean): Readonly<Record<string, unknown>> {
  return { kind: "exec", id, ...spec, tty: spec.tty ?? null, detach };
}

/** Reads the `ok` of an exec. Errors: `guest_error`. */
export function parseExecResult(ok: Readonly<Record<string, unknown>>): ExecResult {
  const { exitCode, signal } = ok;
  if (typeof exitCode === "number" && Number.isInteger(exitCode) && exitCode >= 0 && exitCode <= 255) {
    return { kind: "exited", exitCode };
  }
  if (typeof signal === "string" && /^[A-Z0-9+]{1,16}$/.test(signal)) {
    return { kind: "signalled", signal, timedOut: ok["timedOut"] === true };
  }
  const { detached } = ok;
  if (typeof detached === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(detached)) {
    return { kind: "detached", id: detached };
  }
  throw new BangerError("guest_error", "the guest agent ended a command without a result");
}
