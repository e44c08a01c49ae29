/**
 * What the daemon and its process in the namespace say to each other, over the channel that child_process makes between a process and
 * its child.
 */
import { z } from "zod";
import { ERROR_CODES, type ErrorBody } from "../../model/errors.ts";
import type { Blocked } from "../blocked.ts";

/** What the process is asked to do. */
export type Order =
  | { readonly what: "ip"; readonly lines: readonly string[] }
  | { readonly what: "ipJson"; readonly args: readonly string[] }
  | { readonly what: "nft"; readonly script: string }
  | { readonly what: "nftJson"; readonly args: readonly string[] }
  | { readonly what: "setSysctls"; readonly isIpv6: boolean }
  | { readonly what: "devices" }
  /** Answered with a descriptor of the process, which is there to be taken until it is closed. */
  | { readonly what: "openTap"; readonly name: string }
  | { readonly what: "close"; readonly fd: number }
  | { readonly what: "serveDns"; readonly address: string; readonly port: number }
  | { readonly what: "stopDns" }
  | { readonly what: "readBlocked" }
  | { readonly what: "stopBlocked" };

export type ToInside =
  | { readonly kind: "order"; readonly id: number; readonly order: Order }
  /** To a question of a guest; without a message: none. */
  | { readonly kind: "answer"; readonly id: number; readonly message?: Uint8Array | undefined };

export type FromInside =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly id: number; readonly value?: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly error: ErrorBody }
  | News;

/** What it tells unasked. */
export type News =
  | Asked
  | { readonly kind: "blocked"; readonly packet: Blocked }
  /** Refused packets are told of no longer. */
  | { readonly kind: "blockedEnd" };

/** A guest asks for a name. */
export interface Asked {
  readonly kind: "asked";
  readonly id: number;
  readonly message: Uint8Array;
  readonly client: string;
  readonly transport: "udp" | "tcp";
}

const words = z.array(z.string());
const id = z.int();
const bytes = z.instanceof(Uint8Array);

const OrderSchema: z.ZodType<Order> = z.discriminatedUnion("what", [
  z.strictObject({ what: z.literal("ip"), lines: words }),
  z.strictObject({ what: z.literal("ipJson"), args: words }),
  z.strictObject({ what: z.literal("nft"), script: z.string() }),
  z.strictObject({ what: z.literal("nftJson"), args: words }),
  z.strictObject({ what: z.literal("setSysctls"), isIpv6: z.boolean() }),
  z.strictObject({ what: z.literal("devices") }),
  z.strictObject({ what: z.literal("openTap"), name: z.string() }),
  z.strictObject({ what: z.literal("close"), fd: z.int().min(3) }),
  z.strictObject({ what: z.literal("serveDns"), address: z.string(), port: z.int() }),
  z.strictObject({ what: z.literal("stopDns") }),
  z.strictObject({ what: z.literal("readBlocked") }),
  z.strictObject({ what: z.literal("stopBlocked") }),
]);

export const ToInsideSchema: z.ZodType<ToInside> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("order"), id, order: OrderSchema }),
  z.strictObject({ kind: z.literal("answer"), id, message: bytes.optional() }),
]);

export const FromInsideSchema: z.ZodType<FromInside> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("ready") }),
  z.strictObject({ kind: z.literal("done"), id, value: z.unknown() }),
  z.strictObject({
    kind: z.literal("failed"),
    id,
    error: z.strictObject({
      code: z.enum(ERROR_CODES),
      message: z.string(),
      cure: z.string().optional(),
      details: z.record(z.string(), z.unknown()).optional(),
    }),
  }),
  z.strictObject({
    kind: z.literal("asked"),
    id,
    message: bytes,
    client: z.string(),
    transport: z.enum(["udp", "tcp"]),
  }),
  z.strictObject({
    kind: z.literal("blocked"),
    packet: z.strictObject({
      source: z.string(),
      target: z.string(),
      protocol: z.string(),
      port: z.union([z.int(), z.undefined()]),
    }),
  }),
  z.strictObject({ kind: z.literal("blockedEnd") }),
]);
