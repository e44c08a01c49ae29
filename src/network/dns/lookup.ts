/** A guest's question for an IPv4 address, asked by ourselves. */
import { decode, encode } from "dns-packet";
import type { Lookup } from "../check.ts";
import { type Asker, mayNotAsk, type Resolve } from "./resolver.ts";

export function lookupFor(resolve: Resolve, asker: Asker): Lookup {
  return async (name) => {
    if (!name.endsWith(".vm") && mayNotAsk(asker.policy, name)) {
      return { why: `mode ${asker.policy.mode}: the name ${name} is not resolved` };
    }
    let why: string | undefined;
    // A check opens nothing.
    const looking: Asker = { ...asker, allow: async () => undefined, refused: (_, reason) => (why = reason) };
    const query = encode({ type: "query", id: 1, flags: 0x100, questions: [{ type: "A", name }] });
    const answer = await resolve(query, looking, "tcp");
    if (why !== undefined) return { why };
    const records = answer === undefined ? [] : (decode(Buffer.from(answer)).answers ?? []);
    return { addresses: records.flatMap((record) => (record.type === "A" ? [record.data] : [])) };
  };
}
