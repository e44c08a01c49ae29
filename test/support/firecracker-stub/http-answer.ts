/** Answers as Firecracker writes them: no reason phrase, and no length where there is no body (seen with 1.17). */

export interface Answer {
  readonly status: number;
  /** Undefined for none. */
  readonly body?: unknown;
  /** The request used something that will go away. */
  readonly deprecated?: boolean;
}

export function answerText(answer: Answer): string {
  return rawAnswer(answer.status, answer.body === undefined ? undefined : JSON.stringify(answer.body), {
    deprecated: answer.deprecated ?? false,
  });
}

export function rawAnswer(
  status: number,
  body: string | undefined,
  options: { readonly deprecated?: boolean } = {},
): string {
  const head = [
    `HTTP/1.1 ${status} `,
    "Server: Firecracker API",
    "Connection: keep-alive",
    ...(options.deprecated === true ? ["Deprecation: true"] : []),
    ...(body === undefined
      ? []
      : ["Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`]),
  ];
  return `${head.join("\r\n")}\r\n\r\n${body ?? ""}`;
}

/** What a request gets that is no HTTP: a line end in the middle of a JSON string, as the original has it. */
export function malformedAnswer(reason: string): string {
  return rawAnswer(400, `{ "error": "${reason}\nAll previous unanswered requests will be dropped." }`);
}

/** The last words to an eleventh connection; the original's status line has no space at its end here. */
export const FULL_ANSWER: string = [
  "HTTP/1.1 503",
  "Server: Firecracker API",
  "Connection: close",
  "Content-Length: 40",
  "",
  '{ "error": "Too many open connections" }',
].join("\r\n");
