/**
 * An ordinary user's namespace: a network namespace in a user namespace in which the user is root, kept by a process that sleeps and
 * entered by one that does the daemon's work there. The host's own network has no part in it but what pasta makes of sockets.
 */
import { closeSync, lstatSync, rmSync, symlinkSync } from "node:fs";
import { z } from "zod";
import { pidfdGetfd, pidfdOpen } from "../../lib/libc.ts";
import { isAlive, type ProcessHandle } from "../../lib/process-identity.ts";
import { BangerError } from "../../model/errors.ts";
import type { DnsServerOptions } from "../dns/server.ts";
import type { BlockedHandlers, Ground, Inside } from "../ground.ts";
import type { NetworkPlan } from "../names.ts";
import type { Later } from "../revival.ts";
import { endHolders, findHolder, holderMarker, startHolder } from "./holder.ts";
import { InsideProcess } from "./inside-process.ts";
import type { News } from "./messages.ts";
import { userAvailability } from "./user-availability.ts";
import { userPrograms } from "./user-programs.ts";

export interface UserGroundOptions {
  /** What runs `runInside`: the program and its arguments. */
  readonly self: readonly string[];
  readonly onProblem: (what: string, error: unknown) => void;
  /** Default: the host's. */
  readonly later?: Later;
}

export function createUserGround({ netnsPath }: NetworkPlan, options: UserGroundOptions): Ground {
  const marker = holderMarker(netnsPath);
  let holder: ProcessHandle | undefined;
  const heard: { dns?: DnsServerOptions; blocked?: BlockedHandlers } = {};
  const worker = new InsideProcess({
    ...options,
    holderPid: () => keeper(),
    onNews: (news) => void hear(news),
  });
  const exists = (): boolean => holder !== undefined && isAlive(holder);
  const keeper = (): number | undefined => (exists() ? holder?.pid : undefined);
  const hear = async (news: News): Promise<void> => {
    switch (news.kind) {
      case "asked":
        await worker.answer(news.id, await heard.dns?.answer(news.message, news.client, news.transport));
        return;
      case "blocked":
        return heard.blocked?.onBlocked(news.packet);
      case "blockedEnd":
        return heard.blocked?.onEnd();
    }
  };
  const keep = (found: ProcessHandle): void => {
    holder = found;
    rmSync(netnsPath, { force: true });
    symlinkSync(`/proc/${found.pid}/ns/net`, netnsPath);
  };
  const available = userAvailability();
  return {
    owner: "user",
    available,
    inside: {
      programs: userPrograms(worker),
      setSysctls: async (isIpv6) => void (await worker.order({ what: "setSysctls", isIpv6 })),
      devices: async () => new Set(z.array(z.string()).parse(await worker.order({ what: "devices" }))),
      openTap: async (name) => await takeTap(worker, name),
      serveDns(dns) {
        heard.dns = dns;
        const { address, port } = dns;
        return worker.stand({ what: "serveDns", address, port }, { what: "stopDns" });
      },
      readBlocked(handlers) {
        heard.blocked = handlers;
        const reading = worker.stand({ what: "readBlocked" }, { what: "stopBlocked" });
        reading.ready.catch((error: unknown) => options.onProblem("refused packets", error));
        return reading;
      },
    } satisfies Inside,
    exists,
    keeper,
    async find() {
      if (exists()) return "namespace";
      const found = await findHolder(marker);
      if (found === "unfinished") return "remains";
      if (found === "none") return isThere(netnsPath) ? "remains" : "nothing";
      keep(found);
      return "namespace";
    },
    create: async () => keep(await startHolder(marker)),
    async remove() {
      await worker.end();
      holder = undefined;
      await endHolders(marker);
      rmSync(netnsPath, { force: true });
    },
    linkHost: async () => undefined,
    uplinkArguments: () => [
      // Root's pasta would become nobody, as in root-ground.ts.
      ...(process.geteuid?.() === 0 ? ["--runas", "0:0"] : []),
      "--userns",
      `/proc/${holder?.pid}/ns/user`,
      "--netns",
      netnsPath,
    ],
  };
}

/** The tap that the process opened becomes ours (pidfd_getfd(2)), and ours alone: it can be open but once. */
async function takeTap(inside: InsideProcess, name: string): Promise<number> {
  const { connection, value } = await inside.orderOf({ what: "openTap", name });
  const theirs = z.int().min(3).parse(value);
  const pidfd = pidfdOpen(connection.pid);
  try {
    const ours = pidfdGetfd(pidfd, theirs);
    try {
      await connection.order({ what: "close", fd: theirs });
      return ours;
    } catch (error) {
      closeSync(ours);
      throw error;
    }
  } catch (error) {
    throw new BangerError("unavailable", `the tap ${name} could not be taken`, { cause: error });
  } finally {
    closeSync(pidfd);
  }
}

/** Wherever it leads. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
