/** What mmdebstrap needs to create files of many owners: root, or a user namespace with subordinate ids. */
import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { findProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";

/** Why this user cannot build a root file system, with the cure; undefined when nothing speaks against it. */
export async function debianPrivilegeProblem(): Promise<BangerError | undefined> {
  const user = userInfo();
  if (user.uid === 0) return undefined;
  if (findProgram("newuidmap") === undefined) {
    return new BangerError("unavailable", "an ordinary user needs newuidmap to build a root file system", {
      cure: "apt-get install uidmap",
    });
  }
  for (const path of ["/etc/subuid", "/etc/subgid"]) {
    if (!hasSubordinateIds(await readFile(path, "utf8").catch(() => ""), user)) {
      return new BangerError("unavailable", `the user ${user.username} has no subordinate ids in ${path}`, {
        cure: `as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${user.username}`,
      });
    }
  }
  return undefined;
}

/** Whether a subuid(5) file gives the user at least the 65,536 ids that a Debian system expects. */
export function hasSubordinateIds(
  text: string,
  user: { readonly uid: number; readonly username: string },
): boolean {
  return text.split("\n").some((line) => {
    const [name, , count] = line.split(":");
    return (name === user.username || name === String(user.uid)) && Number(count) >= 65_536;
  });
}
