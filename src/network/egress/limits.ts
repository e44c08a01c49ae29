/** What a guest may take of this host by the way out over the agent's channel. */

/** Connections of one guest, with those that are being made. */
export const MAX_EGRESS = 512;
/** Connections that a guest may ask for in a second, and in one go. */
export const ASKS_PER_SECOND = 200;
export const ASKS_AT_ONCE = 400;
/** Questions to the resolver that are answered at once. */
export const MAX_QUESTIONS = 64;
/** How long a far host may take to answer. */
export const DIAL_MS = 20_000;
/** How long the guest's kernel may take to shake hands with its own program. */
export const TAKE_MS = 10_000;
/** Bytes under way each way of one connection. */
export const EGRESS_WINDOW = 131_072;
/** How long the guest is left alone when it could not be reached. */
export const RETRY_MS = 1_000;
