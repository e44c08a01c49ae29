/** Signals by name, as commands end with them (signal(7), x86 and ARM). */

const NUMBERS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  PWR: 30,
  SYS: 31,
};

/** The name, without `SIG`, of what an image calls `SIGQUIT`, `QUIT` or `3`; undefined for one that is not known. */
export function parseSignal(text: string | undefined): string | undefined {
  const word = text?.toUpperCase().replace(/^SIG/u, "");
  return Object.keys(NUMBERS).find((name) => name === word || String(NUMBERS[name]) === word);
}

/** What a shell reports for a command that a signal ended: 128 + n; 128 for one that has no number here. */
export function exitCodeOfSignal(name: string): number {
  return 128 + (NUMBERS[name] ?? 0);
}
