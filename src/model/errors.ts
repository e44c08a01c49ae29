/**
 * The one error type of banger and its closed set of codes. Every room throws it, the API carries it, and the
 * command line renders it.
 */

/** Each code with the HTTP status it travels under. The set is closed: adding one is a change of the API. */
export const ERROR_STATUS: Readonly<{
  invalid_argument: 400;
  permission_denied: 403;
  not_found: 404;
  already_exists: 409;
  conflict: 409;
  failed_precondition: 412;
  cancelled: 499;
  resource_exhausted: 429;
  internal: 500;
  unsupported: 501;
  guest_error: 502;
  unavailable: 503;
  timeout: 504;
}> = {
  invalid_argument: 400,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  conflict: 409,
  failed_precondition: 412,
  cancelled: 499,
  resource_exhausted: 429,
  internal: 500,
  unsupported: 501,
  guest_error: 502,
  unavailable: 503,
  timeout: 504,
};

export type ErrorCode = keyof typeof ERROR_STATUS;

export const ERROR_CODES: readonly ErrorCode[] = Object.keys(ERROR_STATUS) as ErrorCode[];

/** What stands beside the message: all of it optional, all of it safe to show and to log. */
export interface ErrorExtras {
  /** The command or change that cures it, as one sentence or one command line. */
  readonly cure?: string;
  /** Facts for programs: names, states, limits. Never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** An error as it crosses the API. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly cure?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

const NO_SPACE = { code: "resource_exhausted", cure: "free space, for example with: banger prune" } as const;
const NOT_WRITABLE = {
  code: "permission_denied",
  cure: "make it writable for you, or choose another place with BANGER_HOME=DIR",
} as const;

const NO_DESCRIPTORS = {
  code: "resource_exhausted",
  cure: "allow more open files, with: ulimit -n 65536; then: banger daemon restart",
} as const;

/** Errors of the host (errno(3)) that any file may meet, and that are nobody's bug. */
const HOST_FAULTS: Readonly<Record<string, { readonly code: ErrorCode; readonly cure: string }>> = {
  ENOSPC: NO_SPACE,
  EDQUOT: NO_SPACE,
  EROFS: NOT_WRITABLE,
  EACCES: NOT_WRITABLE,
  EMFILE: NO_DESCRIPTORS,
  ENFILE: NO_DESCRIPTORS,
};

export class BangerError extends Error {
  override readonly name = "BangerError";
  readonly code: ErrorCode;
  readonly cure: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  /** `message` says what happened and to what, without a full stop and without the code. */
  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.code = code;
    this.cure = extras.cure;
    this.details = extras.details ?? {};
  }

  /** Turns anything thrown into a BangerError; what nobody translated is `internal` (our fault). */
  static from(thrown: unknown): BangerError {
    if (thrown instanceof BangerError) return thrown;
    if (thrown instanceof SuppressedError) return BangerError.#ofBoth(thrown);
    if (thrown instanceof Error && thrown.name === "AbortError") {
      return new BangerError("cancelled", "the operation was cancelled", { cause: thrown });
    }
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const host = HOST_FAULTS[thrown instanceof Error && "code" in thrown ? String(thrown.code) : ""];
    return host === undefined
      ? new BangerError("internal", message, { cause: thrown })
      : new BangerError(host.code, message, { cure: host.cure, cause: thrown });
  }

  /** What went wrong first is the error; that its undo failed as well is said. */
  static #ofBoth({ suppressed, error }: SuppressedError): BangerError {
    const { code, message, cure, details } = BangerError.from(suppressed);
    const undo = BangerError.from(error).message;
    return new BangerError(code, `${message}; undoing it failed, too: ${undo}`, {
      details,
      ...(cure === undefined ? {} : { cure }),
      cause: suppressed,
    });
  }

  /** Rebuilds an error from its wire form. */
  static fromBody(body: ErrorBody): BangerError {
    return new BangerError(body.code, body.message, {
      ...(body.cure === undefined ? {} : { cure: body.cure }),
      ...(body.details === undefined ? {} : { details: body.details }),
    });
  }

  toBody(): ErrorBody {
    return {
      code: this.code,
      message: this.message,
      ...(this.cure === undefined ? {} : { cure: this.cure }),
      ...(Object.keys(this.details).length === 0 ? {} : { details: this.details }),
    };
  }
}
