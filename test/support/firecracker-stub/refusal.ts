/** Why a request is answered with a `fault_message`. */

export class Refusal extends Error {
  /** The caller broke a rule, as opposed to the world being unkind (a missing file, a socket in use). */
  readonly violation: boolean;
  /** The program gives up after answering, as after a snapshot that does not load. */
  readonly fatal: boolean;

  constructor(message: string, options: { readonly violation?: boolean; readonly fatal?: boolean } = {}) {
    super(message);
    this.violation = options.violation ?? false;
    this.fatal = options.fatal ?? false;
  }
}

export function violation(message: string): Refusal {
  return new Refusal(message, { violation: true });
}

/** An error of the operating system in Rust's words; anything else is thrown on. */
export function osWords(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const words = typeof code === "string" ? OS_WORDS[code] : undefined;
  if (words === undefined) throw error;
  return words;
}

const OS_WORDS: Readonly<Record<string, string>> = {
  EACCES: "Permission denied (os error 13)",
  EADDRINUSE: "Address already in use (os error 98)",
  EISDIR: "Is a directory (os error 21)",
  ENOENT: "No such file or directory (os error 2)",
  ENOTDIR: "Not a directory (os error 20)",
  ENXIO: "No such device or address (os error 6)",
  EPERM: "Operation not permitted (os error 1)",
};
