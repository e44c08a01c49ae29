/**
 * The frame codec of protocol/README.md sections 1 and 2: pure, bounded, and suspicious of every byte. A decoder never
 * holds more than one frame.
 */

/** Frame types; 0 is padding between frames. */
export const FRAME = {
  sync: 1,
  ack: 2,
  ping: 3,
  pong: 4,
  open: 5,
  data: 6,
  credit: 7,
  end: 8,
  control: 9,
  close: 10,
  reset: 11,
} as const;

/** Payload cap of a frame, in bytes. */
export const MAX_PAYLOAD = 262_144;
/** Credit that each channel of each stream starts with, in bytes. */
export const WINDOW = 262_144;
/** The largest piece of data that a sender puts into one DATA frame, in bytes. */
export const DATA_PIECE = 65_536;
/** The tag of SYNC and ACK: `BNG1`. */
export const HANDSHAKE_TAG = 0x31474e42;
/** Bytes around a payload: 8 of header, 4 of tag. */
export const OVERHEAD = 12;

const HEADER = 8;
const NEWEST_TYPE = FRAME.reset;

export interface Frame {
  readonly type: number;
  readonly stream: number;
  readonly payload: Uint8Array;
}

/** What made a decoder give up. */
export type Violation = "type" | "length" | "tag";

/** Encodes one frame. The payload is copied. The caller keeps it within MAX_PAYLOAD. */
export function encodeFrame(type: number, stream: number, payload: Uint8Array, tag: number): Uint8Array {
  const bytes = emptyFrame(type, stream, payload.length, tag);
  bytes.set(payload, HEADER);
  return bytes;
}

/** The same for a DATA frame, whose payload is the number of a channel and `data`, copied once. */
export function encodeData(channel: number, stream: number, data: Uint8Array, tag: number): Uint8Array {
  const bytes = emptyFrame(FRAME.data, stream, 1 + data.length, tag);
  bytes[HEADER] = channel;
  bytes.set(data, HEADER + 1);
  return bytes;
}

/** All of a frame but its payload, which is for the caller to fill: it holds what memory held before. */
function emptyFrame(type: number, stream: number, length: number, tag: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(OVERHEAD + length);
  bytes.writeUInt32LE(type | (length << 8), 0);
  bytes.writeUInt32LE(stream, 4);
  bytes.writeUInt32LE(tag, HEADER + length);
  return bytes;
}

/**
 * Splits a byte stream into frames for a connection with `tag`. Feed it any pieces; it hands each whole frame to
 * `onFrame`. After a violation it takes nothing more.
 */
export class FrameDecoder {
  readonly #tag: number;
  readonly #onFrame: (frame: Frame) => void;
  /** The frame under way: header bytes first, then payload and tag. */
  #partial: Uint8Array = new Uint8Array(HEADER);
  #have = 0;
  #need = HEADER;
  #violation: Violation | undefined;

  constructor(tag: number, onFrame: (frame: Frame) => void) {
    this.#tag = tag;
    this.#onFrame = onFrame;
  }

  get violation(): Violation | undefined {
    return this.#violation;
  }

  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && this.#violation === undefined) {
      if (this.#have === 0 && bytes[at] === 0) {
        at += 1;
        continue;
      }
      const take = Math.min(this.#need - this.#have, bytes.length - at);
      this.#partial.set(bytes.subarray(at, at + take), this.#have);
      this.#have += take;
      at += take;
      if (this.#have === this.#need) this.#advance();
    }
  }

  #advance(): void {
    const view = new DataView(this.#partial.buffer, this.#partial.byteOffset);
    const head = view.getUint32(0, true);
    const type = head & 0xff;
    const length = head >>> 8;
    if (this.#need === HEADER) {
      if (type > NEWEST_TYPE) this.#violation = "type";
      else if (length > MAX_PAYLOAD) this.#violation = "length";
      else this.#grow(HEADER + length + 4);
      return;
    }
    const tag = type === FRAME.sync || type === FRAME.ack ? HANDSHAKE_TAG : this.#tag;
    if (view.getUint32(HEADER + length, true) !== tag) {
      this.#violation = "tag";
      return;
    }
    const frame = {
      type,
      stream: view.getUint32(4, true),
      payload: this.#partial.subarray(HEADER, HEADER + length),
    };
    this.#partial = new Uint8Array(HEADER);
    this.#have = 0;
    this.#need = HEADER;
    this.#onFrame(frame);
  }

  #grow(need: number): void {
    // Nobody sees it before every byte of it was written.
    const grown = Buffer.allocUnsafeSlow(need);
    grown.set(this.#partial);
    this.#partial = grown;
    this.#need = need;
  }
}
