/** Socket messages of streams to files and connections of guests. */
import type { ErrorBody } from "../../model/errors.ts";
import type { GuestStreamMessage, GuestStreamRequest } from "../../model/guest-stream.ts";

/** A client's messages on the socket of a guest stream; its data are binary messages, after `opened`. */
export type GuestStreamClientMessage =
  | { readonly type: "open"; readonly request: GuestStreamRequest }
  /** No more data. */
  | { readonly type: "end" }
  | { readonly type: "cancel" }
  /** So many bytes of the guest's data were consumed. */
  | { readonly type: "credit"; readonly bytes: number };

/** The daemon's messages there; the guest's data are binary messages. Ended by `result` or `error`. */
export type GuestStreamServerMessage =
  | { readonly type: "opened" }
  | { readonly type: "message"; readonly message: GuestStreamMessage }
  /** The guest took so many bytes of data. */
  | { readonly type: "credit"; readonly bytes: number }
  /** No more data of the guest. */
  | { readonly type: "end" }
  | { readonly type: "result"; readonly result: Readonly<Record<string, unknown>> }
  | { readonly type: "error"; readonly error: ErrorBody };
