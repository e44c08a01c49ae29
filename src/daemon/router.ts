/** Routing: which handler answers which operation, with one place for operation ids, logs and errors. */
import type { Server, ServerWebSocket } from "bun";
import { Hono } from "hono";
import type { Logger } from "pino";
import type { BytesType } from "../api/contract.ts";
import { encodeNotes, NOTES_HEADER } from "../api/notes.ts";
import { OPERATION_HEADER, type OperationId, PATHS } from "../api/paths.ts";
import type { LongOptions } from "../model/boot.ts";
import { BangerError, ERROR_STATUS } from "../model/errors.ts";
import { startStream } from "./byte-stream.ts";
import type { Metrics } from "./metrics.ts";
import { createOperationId, runInOperation } from "./operation-id.ts";
import { progressResponse } from "./progress-stream.ts";

export interface RouteInput {
  readonly request: Request;
  readonly url: URL;
  /** A decoded path parameter. */
  readonly param: (name: string) => string;
}

export interface BytesAnswer {
  readonly content: AsyncIterable<Uint8Array>;
  /** For people, of what is not in it. */
  readonly notes?: readonly string[];
}

/** The daemon's end of a WebSocket. */
export interface SocketSession {
  open(socket: ServerWebSocket<SocketData>): void;
  message(data: string | Buffer): void;
  /** What was sent has left; there is room again. */
  drain?(): void;
  /** The client has gone. */
  close(): void;
}

export interface SocketData {
  readonly session: SocketSession;
  readonly operation: string;
}

/** On every answer. */
type OperationHeaders = Record<typeof OPERATION_HEADER, string>;

/** What Bun's server gives beside the request. */
interface Bindings {
  readonly server: Server<SocketData>;
}

/** Counts and logs an error of an operation that has its own way to tell the client. */
export type ErrorReport = (error: BangerError) => void;

export class Router {
  readonly #app = new Hono<{ Bindings: Bindings }>();
  readonly #log: Logger;
  readonly #metrics: Metrics;

  constructor(log: Logger, metrics: Metrics) {
    this.#log = log;
    this.#metrics = metrics;
    this.#app.onError((thrown) => {
      const error = BangerError.from(thrown);
      this.#log.error({ err: error }, "a request could not be routed");
      return errorResponse(error, createOperationId());
    });
    this.#app.notFound((c) => {
      const error = new BangerError("not_found", `there is no ${c.req.method} ${c.req.path}`);
      return errorResponse(error, createOperationId());
    });
  }

  /** Answers a request. Never throws. */
  async fetch(request: Request, server: Server<SocketData>): Promise<Response | undefined> {
    return await this.#app.fetch(request, { server });
  }

  json(id: OperationId, handle: (input: RouteInput) => Promise<unknown>): void {
    this.#on(id, async (input, headers) => Response.json(await handle(input), { headers }));
  }

  text(id: OperationId, handle: (input: RouteInput) => Promise<string>): void {
    this.#on(id, async (input, headers) => {
      return new Response(await handle(input), {
        headers: { ...headers, "content-type": "text/plain; charset=utf-8" },
      });
    });
  }

  /** What fails before the first byte answers with a status; later it cuts the connection. */
  bytes(
    id: OperationId,
    handle: (input: RouteInput) => Promise<BytesAnswer>,
    type: BytesType = "application/x-tar",
  ): void {
    this.#on(id, async (input, headers) => {
      const { content, notes = [] } = await handle(input);
      const stream = await startStream(content, (error) => this.#logError(id, error));
      const said = encodeNotes(notes);
      const noted = said === undefined ? {} : { [NOTES_HEADER]: said };
      return new Response(stream, { headers: { ...headers, ...noted, "content-type": type } });
    });
  }

  /** `decode` may refuse with a status; what it returns runs while the answer streams. */
  progress(
    id: OperationId,
    decode: (input: RouteInput) => Promise<(options: LongOptions) => Promise<unknown>>,
  ): void {
    this.#on(id, async (input, headers) => {
      const work = await decode(input);
      return progressResponse(input.request, headers, work, (error) => this.#logError(id, error));
    });
  }

  socket(id: OperationId, createSession: (input: RouteInput, report: ErrorReport) => SocketSession): void {
    this.#on(id, async (input, headers, server) => {
      const session = createSession(input, (error) => this.#logError(id, error));
      const operation = headers[OPERATION_HEADER];
      if (server.upgrade(input.request, { data: { session, operation }, headers })) {
        // Bun has answered with 101; what is returned now is not sent.
        return new Response(null);
      }
      throw new BangerError("invalid_argument", "this operation is a WebSocket", {
        cure: "send the request with an Upgrade: websocket header",
      });
    });
  }

  #on(
    id: OperationId,
    answer: (input: RouteInput, headers: OperationHeaders, server: Server<SocketData>) => Promise<Response>,
  ): void {
    const { method, path } = PATHS[id];
    this.#app.on(method, path.replace(/\{(\w+)\}/g, ":$1"), async (c) => {
      const operation = createOperationId();
      const headers: OperationHeaders = { [OPERATION_HEADER]: operation };
      const input: RouteInput = {
        request: c.req.raw,
        // Never the Host header, which anybody may fill with anything.
        url: new URL(`http://banger${c.req.raw.url.slice(c.req.raw.url.indexOf("/", 8))}`),
        param: (name) => c.req.param(name) ?? "",
      };
      return await runInOperation(operation, async () => {
        try {
          this.#log.debug({ route: id }, "request");
          return await answer(input, headers, c.env.server);
        } catch (thrown) {
          const error = BangerError.from(thrown);
          this.#logError(id, error);
          return errorResponse(error, operation);
        }
      });
    });
  }

  #logError(id: OperationId, error: BangerError): void {
    const fields = { route: id, code: error.code };
    this.#metrics.failure(id, error.code);
    if (error.code === "internal") this.#log.error({ ...fields, err: error }, error.message);
    else this.#log.info(fields, error.message);
  }
}

function errorResponse(error: BangerError, operation: string): Response {
  return Response.json(
    { error: error.toBody() },
    { status: ERROR_STATUS[error.code], headers: { [OPERATION_HEADER]: operation } },
  );
}
