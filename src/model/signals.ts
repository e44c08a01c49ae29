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
  XCPU: 24,
  XFSZ: 25,
  SYS: 31,
};

/** What a shell reports for a command that a signal ended: 128 + n; 128 for one that has no number here. */
export function exitCodeOfSignal(name: string): number {
  return 128 + (NUMBERS[name] ?? 0);
}
