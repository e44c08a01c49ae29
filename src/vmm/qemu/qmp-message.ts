/** The messages a QMP server sends (QEMU's docs/interop/qmp-spec): one JSON object a line. */
import { BangerError } from "../../model/errors.ts";

export type QmpMessage =
  | { readonly kind: "greeting"; readonly version: string }
  | { readonly kind: "return"; readonly id: number; readonly value: unknown }
  /** `id` is undefined when the server could not even parse the request. */
  | {
      readonly kind: "error";
      readonly id: number | undefined;
      readonly reason: string;
      readonly text: string;
    }
  | { readonly kind: "event"; readonly name: string; readonly data: Readonly<Record<string, unknown>> };

/** Errors: `internal` for anything that is not one of the four messages. */
export function parseQmpMessage(line: string): QmpMessage {
  const message = parseObject(line);
  const { QMP: greeting, event, error, id } = message;
  if (isRecord(greeting)) return { kind: "greeting", version: versionOf(greeting) };
  if (typeof event === "string") {
    return { kind: "event", name: event, data: isRecord(message["data"]) ? message["data"] : {} };
  }
  if (isRecord(error)) {
    return {
      kind: "error",
      id: typeof id === "number" ? id : undefined,
      reason: String(error["class"]),
      text: String(error["desc"]),
    };
  }
  if ("return" in message && typeof id === "number") return { kind: "return", id, value: message["return"] };
  throw malformed(line);
}

function parseObject(line: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw malformed(line, cause);
  }
  if (!isRecord(value)) throw malformed(line);
  return value;
}

function versionOf(greeting: Readonly<Record<string, unknown>>): string {
  const version = greeting["version"];
  const qemu = isRecord(version) && isRecord(version["qemu"]) ? version["qemu"] : {};
  return [qemu["major"], qemu["minor"], qemu["micro"]].map((part) => Number(part ?? 0)).join(".");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(line: string, cause?: unknown): BangerError {
  return new BangerError("internal", `QMP sent something that is not a QMP message: ${line.slice(0, 200)}`, {
    cause,
  });
}
