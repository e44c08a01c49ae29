/** Socket messages of streams to files and connections of guests, and what guests say on them. */
import { z } from "zod";
import {
  GUEST_FILE_TYPES,
  type GuestFileFacts,
  type GuestStreamMessage,
  type GuestStreamRequest,
} from "../../model/guest-stream.ts";
import { validateUser } from "../../model/spec.ts";
import type { GuestStreamClientMessage } from "../types/guest-stream.ts";
import { ruled, whole } from "./fields.ts";

const MAX_PATH = 4095;
const MAX_ID = 2 ** 32 - 2;
const Path = z
  .string()
  .max(MAX_PATH)
  .regex(/^\/[^\0]*$/, "is no absolute path");
const Id = whole({ min: 0, max: MAX_ID });
const Mode = whole({ min: 0, max: 0o7777 });
const Offset = whole({ min: 0, max: Number.MAX_SAFE_INTEGER });
const Flag = z.boolean().optional();
const Endpoint = {
  address: z.union([z.ipv4(), z.ipv6()]).optional(),
  port: whole({ min: 0, max: 65_535 }).optional(),
  unix: Path.optional(),
};

const GuestStreamRequestSchema: z.ZodType<GuestStreamRequest> = z
  .discriminatedUnion("type", [
    z.strictObject({ type: z.literal("stat"), path: Path, follow: Flag }),
    z.strictObject({ type: z.literal("read"), path: Path, offset: Offset.optional() }),
    z.strictObject({
      type: z.literal("write"),
      path: Path,
      mode: Mode,
      uid: Id.optional(),
      gid: Id.optional(),
    }),
    z.strictObject({
      type: z.literal("put"),
      path: Path,
      mode: Mode,
      uid: Id.optional(),
      gid: Id.optional(),
      mtimeMs: z.number().describe("Modification, Unix milliseconds"),
      key: z
        .string()
        .regex(/^[0-9a-f]{16,64}$/)
        .describe("Names the content: another attempt goes on with what came of it"),
      offset: Offset.optional().describe("Bytes that an earlier attempt has left"),
    }),
    z.strictObject({
      type: z.literal("tar-out"),
      paths: z
        .array(z.strictObject({ path: Path, name: z.string().max(MAX_PATH) }))
        .min(1)
        .max(256),
      follow: Flag,
      special: Flag.describe("With device nodes and extended attributes"),
    }),
    z.strictObject({
      type: z.literal("tar-in"),
      path: Path,
      uid: Id.optional(),
      gid: Id.optional(),
      keepOwners: Flag,
      special: Flag.describe("With device nodes, set-user-ID bits and extended attributes"),
    }),
    z.strictObject({ type: z.literal("dial"), ...Endpoint }),
    z.strictObject({
      type: z.literal("listen"),
      ...Endpoint,
      owner: ruled(validateUser, 65).optional().describe("Whose a Unix socket is; absent: root"),
    }),
    z.strictObject({ type: z.literal("accept"), id: Offset }),
  ])
  .meta({ id: "GuestStreamRequest" });

export const GuestStreamClientMessageSchema: z.ZodType<GuestStreamClientMessage> = z
  .discriminatedUnion("type", [
    z.strictObject({ type: z.literal("open"), request: GuestStreamRequestSchema }),
    z.strictObject({ type: z.literal("end") }),
    z.strictObject({ type: z.literal("cancel") }),
    z.strictObject({ type: z.literal("credit"), bytes: whole({ min: 1, max: 262_144 }) }),
  ])
  .meta({ id: "GuestStreamClientMessage" });

/** Facts come from the guest: what makes no sense is no file. */
export const GuestFileFactsSchema: z.ZodType<GuestFileFacts> = z.object({
  type: z.enum(GUEST_FILE_TYPES),
  size: Offset,
  storedBytes: Offset,
  mode: Mode,
  uid: whole({ min: 0, max: 2 ** 32 - 1 }),
  gid: whole({ min: 0, max: 2 ** 32 - 1 }),
  mtimeMs: z.number(),
  path: Path.optional(),
});

/** Messages come from the guest, too. */
export const GuestStreamMessageSchema: z.ZodType<GuestStreamMessage> = z.union([
  z.object({ file: GuestFileFactsSchema }),
  z.object({ connected: z.object({}) }),
  z.object({ listening: z.object({ port: whole({ min: 0, max: 65_535 }) }) }),
  z.object({ accepted: z.object({ id: Offset }) }),
]);
