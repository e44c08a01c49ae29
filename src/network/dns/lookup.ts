/** A guest's question for the addresses of a name, asked by ourselves. */
import { decode, encode } from "dns-packet";
import type { Lookup } from "../check.ts";
import { type Asker, mayNotAsk, type Resolve } from "./resolver.ts";

export function lookupFor(resolve: Resolve, asker: Asker): Lookup {
  return async (name) => {
    if (!name.endsWith(".vm") && mayNotAsk(asker.policy, name)) {
      return { why: `mode ${asker.policy.mode}: the name ${name} is not resolved` };
    }
    const found = await Promise.all(
      (asker.isIpv6 ? (["A", "AAAA"] as const) : (["A"] as const)).map((type) => ask(name, type)),
    );
    const addresses = found.flatMap((one) => one.addresses);
    const why = found.find((one) => one.why !== undefined)?.why;
    return why === undefined || addresses.length > 0 ? { addresses } : { why };
  };

  async function ask(name: string, type: "A" | "AAAA"): Promise<Answered> {
    let why: string | undefined;
    // A check opens nothing.
    const looking: Asker = { ...asker, allow: async () => undefined, refused: (_, reason) => (why = reason) };
    const query = encode({ type: "query", id: 1, flags: 0x100, questions: [{ type, name }] });
    const answer = await resolve(query, looking, "tcp");
    const records = answer === undefined ? [] : (decode(Buffer.from(answer)).answers ?? []);
    return { addresses: records.flatMap((record) => (record.type === type ? [record.data] : [])), why };
  }
}

interface Answered {
  readonly addresses: readonly string[];
  readonly why: string | undefined;
}
