/** Bodies about published ports. */
import { z } from "zod";
import { BangerError } from "../../model/errors.ts";
import {
  MAX_PORT,
  PORT_PROTOCOLS,
  type PublishedPort,
  type PublishedPortRef,
  validateHostAddress,
} from "../../model/published-port.ts";
import { ruled, whole } from "./fields.ts";

const Address = ruled(oneForm, 64).describe("An address of this host; IPv6 in the form of RFC 5952");

export const PublishedPortSchema: z.ZodType<PublishedPort> = z
  .strictObject({
    address: Address,
    hostPort: whole({ min: 0, max: MAX_PORT }).describe(
      "Where this host listens; 0 asks for any that is free",
    ),
    guestPort: whole({ min: 1, max: MAX_PORT }),
    protocol: z.enum(PORT_PROTOCOLS),
  })
  .meta({ id: "PublishedPort" });

export const PublishedPortRefSchema: z.ZodType<PublishedPortRef> = z
  .strictObject({
    address: Address.optional().describe("Absent: on whatever address it is"),
    hostPort: whole({ min: 1, max: MAX_PORT }),
    protocol: z.enum(PORT_PROTOCOLS),
  })
  .meta({ id: "PublishedPortRef" });

function oneForm(address: string): string {
  const form = validateHostAddress(address);
  if (form === address) return form;
  throw new BangerError("invalid_argument", `is to be written as ${form}`);
}
