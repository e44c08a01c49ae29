/** Reads objects of a repository, one after the other, from one git that stays. */
import { BangerError } from "../model/errors.ts";
import { type GitOptions, openGit } from "./git.ts";

export interface ObjectHeader {
  readonly oid: string;
  readonly type: string;
  readonly size: number;
}

/** Disposing ends the git. */
export class ObjectReader implements AsyncDisposable {
  readonly #program: ReturnType<typeof openGit>;
  readonly #pieces: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  #left = 0;

  constructor(git: GitOptions) {
    this.#program = openGit(["cat-file", "--batch"], git);
    const output: AsyncIterable<Buffer> | undefined = this.#program.stdout;
    if (output === undefined) throw new Error("git has no output");
    this.#pieces = output[Symbol.asyncIterator]();
  }

  /** Asks for an object; its content is then read with `content`. Errors: `failed_precondition` when it is not there. */
  async open(oid: string): Promise<ObjectHeader> {
    await this.#skip();
    this.#program.stdin?.write(`${oid}\n`);
    const line = await this.#line();
    const [name = "", type = "", size = ""] = line.split(" ");
    if (type === "missing" || size === "") {
      throw new BangerError("failed_precondition", `the repository lacks the object ${oid}`, {
        cure: "see what it says of itself with: git fsck",
      });
    }
    // Behind the content stands a newline.
    this.#left = Number(size) + 1;
    return { oid: name, type, size: Number(size) };
  }

  /** The content of the object that was opened, in pieces. */
  async *content(): AsyncGenerator<Buffer> {
    while (this.#left > 1) {
      if (this.#rest.length === 0) await this.#more();
      const piece = this.#rest.subarray(0, this.#left - 1);
      this.#rest = this.#rest.subarray(piece.length);
      this.#left -= piece.length;
      yield piece;
    }
    await this.#skip();
  }

  /** All of the object that was opened. */
  async whole(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.content()) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.stop();
  }

  async #skip(): Promise<void> {
    while (this.#left > 0) {
      if (this.#rest.length === 0) await this.#more();
      const count = Math.min(this.#left, this.#rest.length);
      this.#rest = this.#rest.subarray(count);
      this.#left -= count;
    }
  }

  async #line(): Promise<string> {
    for (let end = this.#rest.indexOf(0x0a); ; end = this.#rest.indexOf(0x0a)) {
      if (end >= 0) {
        const line = this.#rest.toString("latin1", 0, end);
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#pieces.next();
    if (done !== true) {
      this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value]);
      return;
    }
    await this.#program.done;
    throw new BangerError("internal", "git cat-file ended early");
  }
}
