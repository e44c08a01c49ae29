/** What Firecracker says of its machine: `GET /` and `GET /vm/config`, as far as we read them. */
import { z } from "zod";
import { BangerError } from "../../model/errors.ts";
import type { ApiClient } from "./api-client.ts";

export interface Instance {
  readonly state: "Not started" | "Running" | "Paused";
  readonly vmm_version: string;
}

export interface MachineConfig {
  readonly "machine-config": { readonly vcpu_count: number; readonly mem_size_mib: number };
  readonly drives: readonly {
    readonly drive_id: string;
    readonly path_on_host?: string | null | undefined;
    readonly is_read_only?: boolean | null | undefined;
  }[];
  readonly "network-interfaces"?: readonly { readonly iface_id: string }[] | null | undefined;
}

const InstanceSchema: z.ZodType<Instance> = z.object({
  state: z.enum(["Not started", "Running", "Paused"]),
  vmm_version: z.string(),
});
const ConfigSchema: z.ZodType<MachineConfig> = z.object({
  "machine-config": z.object({ vcpu_count: z.int(), mem_size_mib: z.int() }),
  drives: z.array(
    z.object({
      drive_id: z.string(),
      path_on_host: z.string().nullish(),
      is_read_only: z.boolean().nullish(),
    }),
  ),
  "network-interfaces": z.array(z.object({ iface_id: z.string() })).nullish(),
});

/** Errors: those of the API; `internal` when the answer makes no sense. */
export async function describeInstance(api: ApiClient): Promise<Instance> {
  return believe(InstanceSchema, await api.send({ method: "GET", path: "/" }));
}

/** The same for the machine's parts. */
export async function describeMachine(api: ApiClient): Promise<MachineConfig> {
  return believe(ConfigSchema, await api.send({ method: "GET", path: "/vm/config" }));
}

function believe<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new BangerError("internal", "Firecracker's description of its machine makes no sense", {
    cause: parsed.error,
  });
}
