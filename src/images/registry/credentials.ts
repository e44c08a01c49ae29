/** Who the user is at a registry. Nothing of it may reach an argv, a log, a record or an error. */

export type Credentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  /** A refresh token of OAuth 2, traded for access tokens. */
  | { readonly kind: "identity"; readonly token: string }
  /** An access token as it is. */
  | { readonly kind: "access"; readonly token: string };

/** The header `Authorization` of RFC 7617. */
export function basicHeader(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, "utf8").toString("base64")}`;
}
