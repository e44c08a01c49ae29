/** What listens in a guest, as the agent tells it. */
import { z } from "zod";
import type { GuestListener } from "../model/guest-use.ts";

/** So many listeners are taken from one answer (the protocol's own bound). */
export const MAX_LISTENERS = 1_024;

export const ListenerSchema: z.ZodType<GuestListener> = z.object({
  protocol: z.enum(["tcp", "udp"]),
  address: z.string().max(64),
  port: z.int().min(1).max(65_535),
  pid: z.int().optional(),
  command: z
    .string()
    .max(256)
    .regex(/^[ -~]*$/)
    .optional()
    // Any program may give itself any name; its socket is there all the same.
    .catch(undefined),
});
