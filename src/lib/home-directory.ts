/** Where a user is at home. */
import { homedir } from "node:os";

/** `HOME`; without one (or an empty one) what the system's list of users says, and `/` for a user who is not in it. May be relative, as `HOME` may. */
export function homeDirectory(env: Readonly<Record<string, string | undefined>>): string {
  const home = env["HOME"];
  if (home !== undefined && home !== "") return home;
  try {
    return homedir();
  } catch {
    // ENOENT: a number without a name, as containers have it.
    return "/";
  }
}
