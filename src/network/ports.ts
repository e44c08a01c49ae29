/** Which VM has which tap, as the rules in the kernel say: each port's element carries the VM's id. */
import { z } from "zod";
import type { NetPrograms } from "./programs.ts";

export interface Port {
  readonly id: string;
  readonly tap: string;
}

/** The shape of `nft -j list set` (libnftables-json(5)), as far as it is read. */
const ListSchema: z.ZodType<{ nftables: { set?: { elem?: unknown[] | undefined } | undefined }[] }> =
  z.object({
    nftables: z.array(z.object({ set: z.object({ elem: z.array(z.unknown()).optional() }).optional() })),
  });
const PortSchema: z.ZodType<{ elem: { val: { concat: string[] }; comment: string } }> = z.object({
  elem: z.object({ val: z.object({ concat: z.array(z.string()) }), comment: z.string() }),
});

/** Errors: `internal` (no such rules), `unavailable`. */
export async function listPorts(netnsPath: string, programs: NetPrograms): Promise<Port[]> {
  const answer = await programs.nftJson(netnsPath, ["list", "set", "bridge", "banger", "ports"]);
  const list = ListSchema.parse(answer);
  return list.nftables.flatMap(({ set }) =>
    (set?.elem ?? []).flatMap((entry) => {
      const parsed = PortSchema.safeParse(entry);
      if (!parsed.success) return [];
      const { val, comment } = parsed.data.elem;
      const [tap] = val.concat;
      return tap === undefined ? [] : [{ id: comment, tap }];
    }),
  );
}
