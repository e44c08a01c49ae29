/**
 * nftables in this process: libnftables(3), the library that nft(8) is made of. A transaction takes under a millisecond where a
 * start of nft takes ten.
 */
import { dlopen } from "bun:ffi";
import { inNetns } from "./netns.ts";

/** What is called of it. Its strings are NUL-terminated; its error buffer is its own. */
type Library = ReturnType<typeof load>;

/** `struct nft_ctx *`. */
type Context = NonNullable<ReturnType<Library["nft_ctx_new"]>>;

/**
 * The kernel gives a batch up, whole, when a signal comes in the middle of it (`nfnetlink_rcv_batch`, net/netfilter/nfnetlink.c), and the
 * runtime's own threads send this one signals. These are strerror(3)'s words for EINTR, in the C locale that the process stays in.
 */
const INTERRUPTED = "Interrupted system call";
/** So many signals in a row are somebody's fault. */
const MOST_SIGNALS = 100;

/** Undefined: not looked for yet; null: not installed. */
let library: Library | null | undefined;

export class Nftables implements Disposable {
  readonly #library: Library;
  #context: Context | undefined;

  private constructor(opened: Library, context: Context) {
    this.#library = opened;
    this.#context = context;
  }

  /** Rules of the namespace at `netns`, which it keeps alive until disposed; undefined where the library is not installed. */
  static open(netns: string): Nftables | undefined {
    library ??= tryLoad();
    const found = library;
    if (found === null) return undefined;
    // The context opens its netlink socket at once, and the socket stays in the namespace.
    const context = inNetns(netns, () => found.nft_ctx_new(0));
    if (context === null) return undefined;
    found.nft_ctx_buffer_error(context);
    return new Nftables(found, context);
  }

  /** Applies a script as one transaction. Returns what was wrong with it; undefined when it holds. */
  run(script: string): string | undefined {
    const text = Buffer.from(`${script}\0`);
    let wrong = this.#try(text);
    for (let again = 0; again < MOST_SIGNALS && wrong?.includes(INTERRUPTED) === true; again += 1) {
      wrong = this.#try(text);
    }
    return wrong;
  }

  #try(text: Uint8Array): string | undefined {
    if (this.#context === undefined) return "the rules were closed";
    const failed = this.#library.nft_run_cmd_from_buffer(this.#context, text) !== 0;
    // Reading empties the buffer, which warnings fill too.
    const words = String(this.#library.nft_ctx_get_error_buffer(this.#context));
    return failed ? words.trim() || "libnftables gave no reason" : undefined;
  }

  [Symbol.dispose](): void {
    if (this.#context !== undefined) this.#library.nft_ctx_free(this.#context);
    this.#context = undefined;
  }
}

function tryLoad(): Library | null {
  try {
    return load();
  } catch {
    // Not installed, or too old to have these functions: its users run the program instead.
    return null;
  }
}

function load() {
  const { symbols } = dlopen("libnftables.so.1", {
    nft_ctx_new: { args: ["u32"], returns: "ptr" },
    nft_ctx_free: { args: ["ptr"], returns: "void" },
    nft_run_cmd_from_buffer: { args: ["ptr", "ptr"], returns: "i32" },
    nft_ctx_buffer_error: { args: ["ptr"], returns: "i32" },
    nft_ctx_get_error_buffer: { args: ["ptr"], returns: "cstring" },
  });
  return symbols;
}
