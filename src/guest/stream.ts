/** One stream of a connection, seen by the host, which opened it: credit both ways, one result at the end. */
import { BangerError, type ErrorCode } from "../model/errors.ts";
import { DATA_PIECE, FRAME } from "./frames.ts";
import { parseJson } from "./handshake.ts";

/** What a stream's owner hears. No handler may throw. */
export interface StreamHandlers {
  /** Output on channel 1 or 2. The owner gives the bytes' credit back with `returnCredit` once they are consumed. */
  onData?(channel: 1 | 2, bytes: Uint8Array): void;
  /** The guest took `bytes` of input off our hands: so many more may be sent. */
  onCredit?(bytes: number): void;
  /** No more output comes on this channel. */
  onEnd?(channel: 1 | 2): void;
  /** A message of the guest about this stream. */
  onControl?(message: Readonly<Record<string, unknown>>): void;
}

/** How the connection sends frames of this stream. */
export interface StreamSender {
  send(type: number, stream: number, payload: Uint8Array): void;
  /** Sends input on channel 0. */
  sendData(stream: number, bytes: Uint8Array): void;
  forget(stream: number): void;
  /** Whether so much waits for the guest that whoever can wait should. */
  isCongested(): boolean;
  /** Calls back once, when what waits has been taken or the connection is over. Only while it is congested. */
  onceDrained(then: () => void): void;
}

const ENCODER = new TextEncoder();

export class AgentStream {
  readonly id: number;
  /** The `ok` object of CLOSE. Rejects with the guest's error, or `unavailable` when the connection is lost. */
  readonly result: Promise<Readonly<Record<string, unknown>>>;
  readonly #sender: StreamSender;
  readonly #handlers: StreamHandlers;
  readonly #settle: PromiseWithResolvers<Readonly<Record<string, unknown>>>;
  #over = false;
  readonly #window: number;
  #sendCredit: number;
  readonly #granted: { 1: number; 2: number };
  /** Channels that have ended. */
  readonly #ended = new Set<1 | 2>();

  /** `window`: the credit that each channel starts with, in bytes. */
  constructor(id: number, sender: StreamSender, handlers: StreamHandlers, window: number) {
    this.id = id;
    this.#window = window;
    this.#sendCredit = window;
    this.#granted = { 1: window, 2: window };
    this.#sender = sender;
    this.#handlers = handlers;
    this.#settle = Promise.withResolvers();
    this.result = this.#settle.promise;
    // Whoever opened the stream may never look at its result (a RESET, a lost connection).
    this.result.catch(() => undefined);
  }

  /** Bytes of input that may be sent now. */
  get sendCredit(): number {
    return this.#sendCredit;
  }

  /** Whether so much waits for the guest, of any stream, that whoever can wait should, until `onceDrained`. */
  get congested(): boolean {
    return !this.#over && this.#sender.isCongested();
  }

  /** Calls back once, when what waits has been taken or the connection is over. Only for a stream that is `congested`. */
  onceDrained(then: () => void): void {
    this.#sender.onceDrained(then);
  }

  /** Whether nothing goes either way any more: `result` is settled. */
  get over(): boolean {
    return this.#over;
  }

  /** Sends input. Errors: `resource_exhausted` beyond the credit; nothing happens after the end of the stream. */
  sendData(bytes: Uint8Array): void {
    if (bytes.length > this.#sendCredit) {
      throw new BangerError("resource_exhausted", "more input was sent than the guest has room for");
    }
    this.#sendCredit -= bytes.length;
    for (let at = 0; at < bytes.length && !this.#over; at += DATA_PIECE) {
      this.#sender.sendData(this.id, bytes.subarray(at, at + DATA_PIECE));
    }
  }

  /** Ends the input. */
  sendEnd(): void {
    if (!this.#over) this.#sender.send(FRAME.end, this.id, new Uint8Array(1));
  }

  sendControl(message: Readonly<Record<string, unknown>>): void {
    if (!this.#over) this.#sender.send(FRAME.control, this.id, ENCODER.encode(JSON.stringify(message)));
  }

  /** Tells the guest that `bytes` of output on `channel` were consumed. Never more than was received. */
  returnCredit(channel: 1 | 2, bytes: number): void {
    const room = this.#window - this.#granted[channel];
    const back = Math.min(bytes, room);
    if (back <= 0 || this.#over) return;
    this.#granted[channel] += back;
    const payload = new Uint8Array(5);
    payload[0] = channel;
    new DataView(payload.buffer).setUint32(1, back, true);
    this.#sender.send(FRAME.credit, this.id, payload);
  }

  /** Gives the stream up; a process that is not detached dies with it. Safe to repeat. */
  reset(): void {
    if (this.#over) return;
    this.#sender.send(FRAME.reset, this.id, new Uint8Array(0));
    this.fail(new BangerError("cancelled", "the stream to the guest was given up"));
  }

  /** Ends the stream from this side because of `error`, without a word to the guest. */
  fail(error: BangerError): void {
    if (this.#over) return;
    this.#over = true;
    this.#sender.forget(this.id);
    this.#settle.reject(error);
  }

  /** Takes a frame of this stream from the guest. Errors: `guest_error` for one that breaks the rules. */
  accept(type: number, payload: Uint8Array): void {
    switch (type) {
      case FRAME.data:
        return this.#acceptData(payload);
      case FRAME.credit:
        return this.#acceptCredit(payload);
      case FRAME.end:
        return this.#acceptEnd(payload);
      case FRAME.control:
        return this.#acceptControl(object(parseJson(payload)));
      case FRAME.close:
        return this.#acceptClose(payload);
      default:
        throw broken(`frame type ${type} on a stream`);
    }
  }

  #acceptData(payload: Uint8Array): void {
    const channel = payload[0];
    if ((channel !== 1 && channel !== 2) || payload.length < 2) throw broken("data on an unknown channel");
    if (this.#ended.has(channel)) throw broken("data after the end of its channel");
    const bytes = payload.subarray(1);
    if (bytes.length > this.#granted[channel]) throw broken("more output than it had credit for");
    this.#granted[channel] -= bytes.length;
    this.#handlers.onData?.(channel, bytes);
  }

  #acceptEnd(payload: Uint8Array): void {
    const channel = payload[0];
    if (payload.length !== 1 || (channel !== 1 && channel !== 2))
      throw broken("an end on an unknown channel");
    if (this.#ended.has(channel)) throw broken("two ends of one channel");
    this.#ended.add(channel);
    this.#handlers.onEnd?.(channel);
  }

  #acceptCredit(payload: Uint8Array): void {
    if (payload.length !== 5 || payload[0] !== 0) throw broken("credit for an unknown channel");
    const bytes = new DataView(payload.buffer, payload.byteOffset).getUint32(1, true);
    // A window holds no more bytes than it began with, so that an honest guest can never return more than what is missing from it.
    if (this.#sendCredit + bytes > this.#window) throw broken("credit for input that it never got");
    // Nobody has to be told of nothing, and a guest may say it without end.
    if (bytes === 0) return;
    this.#sendCredit += bytes;
    this.#handlers.onCredit?.(bytes);
  }

  #acceptControl(message: Readonly<Record<string, unknown>>): void {
    this.#handlers.onControl?.(message);
  }

  #acceptClose(payload: Uint8Array): void {
    const { ok, error } = object(parseJson(payload));
    const result = ok === undefined ? undefined : object(ok);
    const failure = result === undefined ? guestError(object(error)) : undefined;
    // Only what makes sense as a whole ends the stream; the rest ends the connection, and this stream with it.
    this.#over = true;
    this.#sender.forget(this.id);
    if (result !== undefined) this.#settle.resolve(result);
    else this.#settle.reject(failure);
  }
}

/** The guest's error codes that are codes of ours, too; what else it says becomes `guest_error`. */
const SHARED_CODES: ReadonlySet<string> = new Set<ErrorCode>([
  "invalid_argument",
  "not_found",
  "failed_precondition",
  "permission_denied",
  "resource_exhausted",
  "unsupported",
]);

function guestError(error: Readonly<Record<string, unknown>>): BangerError {
  const guestCode = typeof error["code"] === "string" ? error["code"].slice(0, 64) : "unknown";
  const message =
    typeof error["message"] === "string" ? error["message"].slice(0, 2000) : "the guest gave no reason";
  const code = SHARED_CODES.has(guestCode) ? (guestCode as ErrorCode) : "guest_error";
  return new BangerError(code, message, { details: { guestCode } });
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw broken("JSON that is not an object");
}

function broken(what: string): BangerError {
  return new BangerError("guest_error", `the guest agent broke the protocol: ${what}`);
}
