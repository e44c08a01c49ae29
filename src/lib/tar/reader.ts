/** A tar archive as it comes, taken apart into members and their content. Every byte of it is somebody else's. */
import { BangerError } from "../../model/errors.ts";
import { applyRecords, BLOCK, damaged, isMemberFlag, type Member, padding, parseHeader } from "./member.ts";

/** Bytes of one extended header. */
const MAX_EXTENDED = 1024 * 1024;

export class TarReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #piece: Buffer = Buffer.alloc(0);
  /** Content of the present member that was not read, and the padding behind it. */
  #left = 0;
  #padding = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next member; undefined at the end of the archive, which is then read to its end. Errors: `invalid_argument`, `unsupported`. */
  async next(): Promise<Member | undefined> {
    await this.#skip(this.#left + this.#padding);
    this.#left = 0;
    this.#padding = 0;
    let records: Buffer | undefined;
    const long: { name?: Buffer; link?: Buffer } = {};
    for (;;) {
      const block = await this.#exactly(BLOCK);
      const header = block === undefined ? undefined : parseHeader(block);
      if (header === undefined) {
        await this.#drain();
        return undefined;
      }
      const { flag, member } = header;
      if (isMemberFlag(flag)) return this.#begin({ ...member, ...long }, records);
      if (!["x", "g", "L", "K"].includes(flag)) {
        throw new BangerError("unsupported", `the archive has a member of type ${JSON.stringify(flag)}`);
      }
      if (member.size > MAX_EXTENDED) throw damaged("an extended header is too large");
      const content = (await this.#exactly(member.size + padding(member.size)))?.subarray(0, member.size);
      if (content === undefined) throw damaged("it is cut off");
      if (flag === "x") records = content;
      if (flag === "L") long.name = untilNul(content);
      if (flag === "K") long.link = untilNul(content);
    }
  }

  /** Some of the present member's content; undefined at its end. What is returned is valid until the next call. */
  async content(): Promise<Buffer | undefined> {
    if (this.#left === 0) return undefined;
    if (this.#piece.length === 0) await this.#more();
    const piece = this.#take(this.#left);
    this.#left -= piece.length;
    return piece;
  }

  #begin(header: Member, records: Buffer | undefined): Member {
    const member = records === undefined ? header : applyRecords(header, records);
    const size = member.kind === "file" ? member.size : 0;
    this.#left = size;
    this.#padding = padding(size);
    return { ...member, size };
  }

  async #exactly(count: number): Promise<Buffer | undefined> {
    if (this.#piece.length >= count) return this.#take(count);
    const parts: Buffer[] = [];
    let have = 0;
    while (have < count) {
      if (this.#piece.length === 0 && !(await this.#tryMore())) {
        if (have === 0) return undefined;
        throw damaged("it is cut off");
      }
      const part = this.#take(count - have);
      have += part.length;
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  async #skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) {
      if (this.#piece.length === 0) await this.#more();
      left -= this.#take(left).length;
    }
  }

  async #drain(): Promise<void> {
    do this.#piece = Buffer.alloc(0);
    while (await this.#tryMore());
  }

  #take(count: number): Buffer {
    const taken = this.#piece.subarray(0, count);
    this.#piece = this.#piece.subarray(taken.length);
    return taken;
  }

  async #more(): Promise<void> {
    if (!(await this.#tryMore())) throw damaged("it is cut off");
  }

  async #tryMore(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const { done, value } = await this.#source.next();
      if (done === true) return false;
      this.#piece = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    return true;
  }
}

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}
