/** The host programs behind the network, each call one batch: ip(8) and nft(8). */
import { statSync } from "node:fs";
import { inNetns } from "../lib/netns.ts";
import { Nftables } from "../lib/nftables.ts";
import { type ProgramEnd, runProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";

export interface NetPrograms {
  /** Runs ip commands one after the other and stops at the first that fails. Errors: `internal`, `unavailable`. */
  ip(netns: string | undefined, lines: readonly string[]): Promise<void>;
  /** `ip -json ARGS`, parsed as far as JSON goes. */
  ipJson(netns: string | undefined, args: readonly string[]): Promise<unknown>;
  /** Applies a script as one transaction: all of it, or nothing. Errors: `internal`, `unavailable`. */
  nft(netns: string, script: string): Promise<void>;
  /** Lets go of what it holds of a namespace that is about to be removed. */
  release(netns: string): void;
  /** `nft -j ARGS`. */
  nftJson(netns: string, args: readonly string[]): Promise<unknown>;
}

/** The real ones. */
export function createNetPrograms(): NetPrograms {
  const opened = new Map<string, { readonly inode: number; readonly rules: Nftables | undefined }>();
  const release = (netns: string): void => {
    opened.get(netns)?.rules?.[Symbol.dispose]();
    opened.delete(netns);
  };
  /** A path may lead to another namespace than it did. */
  const rulesOf = (netns: string): Nftables | undefined => {
    const inode = statSync(netns).ino;
    const found = opened.get(netns);
    if (found?.inode === inode) return found.rules;
    release(netns);
    const rules = Nftables.open(netns);
    opened.set(netns, { inode, rules });
    return rules;
  };
  return {
    release,
    async ip(netns, lines) {
      if (lines.length === 0) return;
      const stdin = Buffer.from(`${lines.join("\n")}\n`);
      await run(netns, ["ip", "-batch", "-"], { stdin, aptPackage: "iproute2" });
    },
    async ipJson(netns, args) {
      const text = await run(netns, ["ip", "-json", ...args], { aptPackage: "iproute2" });
      // ip prints nothing at all for an empty list.
      return text === "" ? [] : parse(text, "ip");
    },
    async nft(netns, script) {
      const rules = rulesOf(netns);
      if (rules !== undefined) {
        const wrong = rules.run(script);
        if (wrong !== undefined) throw refused("nft", wrong);
        return;
      }
      await run(netns, ["nft", "-f", "-"], { stdin: Buffer.from(script), aptPackage: "nftables" });
    },
    async nftJson(netns, args) {
      return parse(await run(netns, ["nft", "-j", ...args], { aptPackage: "nftables" }), "nft");
    },
  };
}

async function run(
  netns: string | undefined,
  argv: readonly [string, ...string[]],
  options: { readonly stdin?: Uint8Array; readonly aptPackage: string },
): Promise<string> {
  // The child is spawned before the first await of runProgram, and so in the namespace.
  const start = (): ReturnType<typeof runProgram> => runProgram(argv, { ...options, failure });
  const { stdout } = await (netns === undefined ? start() : inNetns(netns, start));
  return Buffer.from(stdout).toString();
}

function failure(end: ProgramEnd): BangerError {
  return refused(end.program, end.stderrTail);
}

function refused(program: string, words: string): BangerError {
  return new BangerError("internal", `${program} could not set up the network: ${words}`, {
    cure: "see what is there with: banger network show; then: banger network down",
  });
}

function parse(text: string, program: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BangerError("internal", `${program} answered something that is not JSON`, { cause: error });
  }
}
