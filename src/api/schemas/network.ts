/** Bodies about the network: what a VM may reach, what there is, what would become of a packet. */
import { z } from "zod";
import { MAX_NETWORK_RULES, NETWORK_MODES, type NetworkSpec } from "../../model/network-policy.ts";
import { PROTOCOLS, parseNetworkRule } from "../../model/network-rule.ts";
import type {
  NetworkCheck,
  NetworkDown,
  NetworkReport,
  NetworkVerdict,
  NetworkWish,
} from "../types/network.ts";
import { ruled } from "./fields.ts";

const MAX_RULE_LENGTH = 512;

const rules = (use: "allow" | "deny"): z.ZodType<string[]> =>
  z.array(ruled((text) => parseNetworkRule(text, use).text, MAX_RULE_LENGTH)).max(MAX_NETWORK_RULES);

export const NetworkSpecSchema: z.ZodType<NetworkSpec> = z
  .strictObject({
    mode: z.enum(NETWORK_MODES),
    allow: z.array(z.string()).describe("In mode allow: what may be reached"),
    deny: z.array(z.string()).describe("What may not be reached in any mode"),
    peers: z.boolean().describe("Whether it talks with other guests that say so, too"),
  })
  .meta({ id: "NetworkSpec" });

export const NetworkWishSchema: z.ZodType<NetworkWish> = z
  .strictObject({
    mode: z.enum(NETWORK_MODES).optional(),
    allow: rules("allow").optional().describe("HOST[:PORT][/PROTOCOL] each; replaces the list"),
    deny: rules("deny").optional().describe("As allow: what is refused in every mode"),
    peers: z.boolean().optional(),
  })
  .meta({ id: "NetworkWish" });

export const NetworkReportSchema: z.ZodType<NetworkReport> = z
  .strictObject({
    kind: z
      .enum(["namespace", "channel", "none"])
      .describe("channel: no card, and connections over the agent's channel; none: neither"),
    why: z.string().optional(),
    cure: z.string().optional(),
    up: z.boolean().describe("Whether the namespace is there now"),
    namespace: z.string().describe("Root's by its name, an ordinary user's by the path that leads to it"),
    keeper: z
      .int()
      .optional()
      .describe("The process that keeps an ordinary user's namespace; absent: not up, or root's"),
    lost: z
      .string()
      .optional()
      .describe("Somebody else removed the namespace: what that means, and the cure"),
    hostLink: z
      .string()
      .optional()
      .describe("The host's end of the link into the namespace; absent: an ordinary user's, which has none"),
    pool: z.string(),
    gateway: z.string(),
    pool6: z.string().optional().describe("Where guests' IPv6 addresses come from; absent: they have none"),
    gateway6: z.string().optional(),
    problem6: z
      .string()
      .optional()
      .describe("Why guests have no IPv6, or another pool, although the configuration says otherwise"),
    uplink: z.string().describe("The program that carries packets out"),
    readyTaps: z.int(),
    nameservers: z.array(z.string()),
    clash: z.string().optional().describe("What keeps the host from reaching guests by address"),
    vms: z.array(
      z.strictObject({
        id: z.string(),
        name: z.string(),
        address: z.string(),
        address6: z.string().optional(),
        mode: z.string(),
        tap: z.string(),
      }),
    ),
  })
  .meta({ id: "NetworkReport" });

export const NetworkCheckSchema: z.ZodType<NetworkCheck> = z
  .strictObject({ target: z.string().max(MAX_RULE_LENGTH).describe("HOST:PORT[/PROTOCOL], or HOST/icmp") })
  .meta({ id: "NetworkCheck" });

export const NetworkDownSchema: z.ZodType<NetworkDown> = z
  .strictObject({ removed: z.boolean().describe("False: there was none") })
  .meta({ id: "NetworkDown" });

const Verdict = z.enum(["allow", "deny"]);

export const NetworkVerdictSchema: z.ZodType<NetworkVerdict> = z
  .strictObject({
    verdict: Verdict.describe("allow: at least one address can be reached"),
    rule: z.string().describe("What decided"),
    addresses: z.array(
      z.strictObject({
        address: z.string(),
        protocol: z.enum(PROTOCOLS),
        port: z.int().optional(),
        verdict: Verdict,
        rule: z.string(),
      }),
    ),
  })
  .meta({ id: "NetworkVerdict" });
