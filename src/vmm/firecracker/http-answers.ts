/**
 * Cuts a byte stream into HTTP/1.1 answers (RFC 9112), as far as Firecracker's server goes: a status line, header fields,
 * and a body of known length. Everything else is refused, and every part has a hard limit.
 */
import { BangerError } from "../../model/errors.ts";

/** Status line and header fields together. */
export const MAX_HEAD_BYTES: number = 8 * 1024;
/** The largest answer is a description of the whole machine: some kilobytes. */
export const MAX_BODY_BYTES: number = 1024 * 1024;

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

const STATUS_LINE = /^HTTP\/1\.[01] ([1-5][0-9]{2})(?: [\x20-\x7e\t]*)?$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*?)[ \t]*$/;

interface Head {
  readonly status: number;
  readonly bodyBytes: number;
}

export class HttpAnswers {
  private bytes: Buffer = Buffer.alloc(0);
  private head: Head | undefined;

  /** Whether an answer has begun and not ended. */
  get isCut(): boolean {
    return this.head !== undefined || this.bytes.byteLength > 0;
  }

  /** Takes the next bytes; returns the answers they complete. Errors: `internal` (malformed, or too large). */
  push(chunk: Uint8Array): readonly HttpAnswer[] {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    const answers: HttpAnswer[] = [];
    for (let answer = this.next(); answer !== undefined; answer = this.next()) {
      // 1xx says that the real answer is still to come (RFC 9110, section 15.2).
      if (answer.status >= 200) answers.push(answer);
    }
    return answers;
  }

  private next(): HttpAnswer | undefined {
    this.head ??= this.takeHead();
    if (this.head === undefined || this.bytes.byteLength < this.head.bodyBytes) return undefined;
    const { status, bodyBytes } = this.head;
    this.head = undefined;
    return { status, body: this.take(bodyBytes).toString("utf8") };
  }

  private takeHead(): Head | undefined {
    const end = this.bytes.indexOf("\r\n\r\n");
    if (end > MAX_HEAD_BYTES || (end < 0 && this.bytes.byteLength > MAX_HEAD_BYTES)) {
      throw malformed(`a head of more than ${MAX_HEAD_BYTES} bytes`);
    }
    if (end < 0) return undefined;
    return parseHead(this.take(end + 4).toString("latin1", 0, end));
  }

  private take(count: number): Buffer {
    const taken = this.bytes.subarray(0, count);
    this.bytes = this.bytes.subarray(count);
    return taken;
  }
}

function parseHead(text: string): Head {
  const [first = "", ...lines] = text.split("\r\n");
  const match = STATUS_LINE.exec(first);
  if (match === null) throw malformed(`the status line ${JSON.stringify(first.slice(0, 80))}`);
  const status = Number(match[1]);
  let length: number | undefined;
  for (const line of lines) {
    const field = FIELD.exec(line);
    if (field === null) throw malformed(`the header line ${JSON.stringify(line.slice(0, 80))}`);
    const [, name = "", value = ""] = field;
    if (name.toLowerCase() === "transfer-encoding") throw malformed("a body of unknown length");
    if (name.toLowerCase() !== "content-length") continue;
    if (!/^[0-9]{1,15}$/.test(value) || (length !== undefined && length !== Number(value))) {
      throw malformed(`the length ${JSON.stringify(value.slice(0, 80))}`);
    }
    length = Number(value);
  }
  if (length !== undefined && length > MAX_BODY_BYTES) {
    throw malformed(`a body of ${length} bytes, more than ${MAX_BODY_BYTES}`);
  }
  // Neither has a body, whatever its header says (RFC 9112, section 6.3).
  const bodyless = status < 200 || status === 204;
  return { status, bodyBytes: bodyless ? 0 : (length ?? 0) };
}

function malformed(what: string): BangerError {
  return new BangerError("internal", `Firecracker's answer is not valid HTTP: ${what}`);
}
