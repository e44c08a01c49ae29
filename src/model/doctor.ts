/** What a diagnosis is made of. */

export interface DoctorRow {
  /** What was looked at: a noun. */
  readonly check: string;
  readonly verdict: "pass" | "warn" | "fail";
  readonly message: string;
  /** The command that cures it; absent for a pass. */
  readonly cure?: string | undefined;
}

/** One look at the host: rows for a person, capabilities for programs. Never writes anything. */
export type DoctorCheck = () => Promise<{
  readonly rows: readonly DoctorRow[];
  readonly capabilities?: Readonly<Record<string, boolean | string>>;
}>;
