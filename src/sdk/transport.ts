/** How the client reaches the daemon: HTTP and WebSockets on a Unix socket, by whatever the runtime does best. */

export interface HttpAnswer {
  readonly status: number;
  /** The value of a header, by its name in small letters; undefined: there is none. */
  readonly header: (name: string) => string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface HttpRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** JSON text. */
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What happens on a WebSocket. `onClose` comes once, last, whatever the reason. */
export interface SocketListener {
  onOpen(): void;
  onText(text: string): void;
  onBytes(bytes: Uint8Array): void;
  onClose(reason: string): void;
}

export interface Socket {
  send(data: string | Uint8Array): void;
  /** Bytes given to `send` that have not left yet. */
  readonly bufferedBytes: number;
  close(): void;
}

export interface Transport {
  /** Errors: whatever the runtime throws; `isAbsent` tells whether nobody listens. */
  request(request: HttpRequest): Promise<HttpAnswer>;
  connect(path: string, listener: SocketListener): Socket;
}

/** The transport of this runtime. */
export async function createTransport(socketPath: string): Promise<Transport> {
  if (process.versions["bun"] !== undefined) {
    const { createBunTransport } = await import("./transport-bun.ts");
    return createBunTransport(socketPath);
  }
  const { createNodeTransport } = await import("./transport-node.ts");
  return createNodeTransport(socketPath);
}

/** True for the errors of connecting to a socket that is not there or has no listener. */
export function isAbsent(error: unknown): boolean {
  return ["ENOENT", "ECONNREFUSED", "FailedToOpenSocket", "ConnectionRefused"].includes(codeOf(error));
}

/** True for the errors of a connection that broke before the answer was whole. */
export function isLost(error: unknown): boolean {
  return ["ECONNRESET", "EPIPE", "ConnectionClosed"].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
