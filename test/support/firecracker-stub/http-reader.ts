/**
 * Requests out of bytes, with the narrow mind of Firecracker's micro_http: lines of at most 1024 bytes, bodies by
 * Content-Length only (chunked ones are taken for the next request), and a limit on the body.
 */

const MAX_LINE_BYTES = 1024;
const METHODS: readonly string[] = ["GET", "PUT", "PATCH", "DELETE"];
const VERSIONS: readonly string[] = ["HTTP/1.0", "HTTP/1.1"];

export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  /** Undefined when the request came without one. */
  readonly body: string | undefined;
}

/** What some bytes held: a request, the wish for `100 Continue`, or something that is no HTTP. */
export type HttpItem =
  | { readonly kind: "request"; readonly request: HttpRequest }
  | { readonly kind: "continue" }
  | { readonly kind: "fault"; readonly reason: string };

export class RequestReader {
  private readonly maxBodyBytes: number;
  private buffer = Buffer.alloc(0);
  private pending: { readonly method: string; readonly path: string } | undefined;
  private bodyBytes = 0;
  private inBody = false;
  private expects = false;

  constructor(maxBodyBytes: number) {
    this.maxBodyBytes = maxBodyBytes;
  }

  /** The items that `bytes` complete. After a fault the rest of what was received is forgotten. */
  push(bytes: Uint8Array): HttpItem[] {
    this.buffer = Buffer.concat([this.buffer, bytes]);
    const items: HttpItem[] = [];
    for (;;) {
      const item = this.inBody ? this.takeBody() : this.takeLine();
      if (item === "more") return items;
      if (item === undefined) continue;
      // "All previous unanswered requests will be dropped."
      if (item.kind === "fault") {
        this.reset();
        this.buffer = Buffer.alloc(0);
        return [item];
      }
      items.push(item);
    }
  }

  private takeLine(): HttpItem | "more" | undefined {
    const end = this.buffer.indexOf("\r\n");
    if (end < 0 && this.buffer.byteLength < MAX_LINE_BYTES) return "more";
    if (end < 0 || end > MAX_LINE_BYTES - 2) return fault(this.pending === undefined ? INVALID : LONG_HEADER);
    const line = this.buffer.subarray(0, end).toString();
    this.buffer = this.buffer.subarray(end + 2);
    if (this.pending === undefined) return this.requestLine(line);
    return line === "" ? this.headersEnd(this.pending) : this.header(line);
  }

  private requestLine(line: string): HttpItem | undefined {
    const [method, uri, ...version] = line.split(" ");
    if (method === undefined || uri === undefined || version.length === 0) return fault(INVALID);
    if (!METHODS.includes(method)) return fault("Invalid HTTP Method: Unsupported HTTP method.");
    if (uri === "") return fault("Invalid URI: Empty URI not allowed.");
    if (!VERSIONS.includes(version.join(" ")))
      return fault("Invalid HTTP Version: Unsupported HTTP version.");
    this.pending = { method, path: pathOf(uri) };
    return undefined;
  }

  private header(line: string): HttpItem | undefined {
    const colon = line.indexOf(":");
    if (colon < 0) return fault(`Invalid header. Reason: Header is incorrectly formatted. Key: ${line}`);
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1);
    if (name.trim().toLowerCase() === "expect") this.expects = value.trim() === "100-continue";
    if (name.trim().toLowerCase() !== "content-length") return undefined;
    if (!/^\s*\d+\s*$/.test(value) || Number(value) > 0xffffffff)
      return fault(`Invalid header. Reason: Invalid value. Key:${name}; Value:${value}`);
    this.bodyBytes = Number(value);
    return undefined;
  }

  private headersEnd(pending: { readonly method: string; readonly path: string }): HttpItem | undefined {
    if (this.bodyBytes === 0) {
      this.reset();
      return { kind: "request", request: { ...pending, body: undefined } };
    }
    if (this.bodyBytes > this.maxBodyBytes)
      return fault(
        `Request payload with size ${this.bodyBytes} is larger than the limit of ${this.maxBodyBytes} allowed by server.`,
      );
    this.inBody = true;
    return this.expects ? { kind: "continue" } : undefined;
  }

  private takeBody(): HttpItem | "more" | undefined {
    if (this.buffer.byteLength < this.bodyBytes || this.pending === undefined) return "more";
    const body = this.buffer.subarray(0, this.bodyBytes).toString();
    const request: HttpRequest = { ...this.pending, body };
    this.buffer = this.buffer.subarray(this.bodyBytes);
    this.reset();
    return { kind: "request", request };
  }

  private reset(): void {
    this.pending = undefined;
    this.inBody = false;
    this.expects = false;
    this.bodyBytes = 0;
  }
}

const INVALID = "Invalid request.";
const LONG_HEADER = "Invalid header. Reason: Invalid content length. Header: (too long)";

function fault(reason: string): HttpItem {
  return { kind: "fault", reason };
}

/** A URI may name a host before its path. */
function pathOf(uri: string): string {
  if (!uri.startsWith("http://")) return uri.startsWith("/") ? uri : "";
  const slash = uri.indexOf("/", "http://".length);
  return slash < 0 ? "" : uri.slice(slash);
}
