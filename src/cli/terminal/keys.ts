/** What a person types at a command's terminal, and the few keys in it that are for banger. Pure. */
export type KeyAction =
  | { readonly kind: "send"; readonly bytes: Uint8Array }
  /** The command goes on without us. */
  | { readonly kind: "detach" }
  /** The command ends with its connection. */
  | { readonly kind: "disconnect" }
  | { readonly kind: "suspend" }
  | { readonly kind: "help" };

export interface KeyOptions {
  /** Bytes of the keys that detach, one after the other; empty: none. */
  readonly detachKeys: Uint8Array;
  /** `~` at the start of a line is for banger, as it is for ssh. */
  readonly escapes: boolean;
}

const TILDE = 0x7e;
const CTRL_Z = 0x1a;
const LINE_ENDS: ReadonlySet<number> = new Set([0x0a, 0x0d]);

/** Tells keys for banger from keys for the guest, whatever pieces they come in. */
export class KeyWatch {
  readonly #options: KeyOptions;
  /** How many of the detach keys were typed, which are held back meanwhile. */
  #matched = 0;
  #lineStart = true;
  /** A tilde was typed at the start of a line, and is held back. */
  #tilde = false;

  constructor(options: KeyOptions) {
    this.#options = options;
  }

  /** What is to be done about these bytes, in order. */
  feed(bytes: Uint8Array): KeyAction[] {
    const out = new Actions();
    for (const byte of bytes) this.#watchDetach(byte, out);
    return out.all();
  }

  /** Holds the detach keys back until it is known that they are none. */
  #watchDetach(byte: number, out: Actions): void {
    const { detachKeys } = this.#options;
    if (this.#matched > 0 && byte !== detachKeys[this.#matched]) {
      for (const held of detachKeys.subarray(0, this.#matched)) this.#watchTilde(held, out);
      this.#matched = 0;
    }
    if (byte !== detachKeys[this.#matched]) return this.#watchTilde(byte, out);
    this.#matched += 1;
    if (this.#matched < detachKeys.length) return undefined;
    this.#matched = 0;
    return out.act({ kind: "detach" });
  }

  #watchTilde(byte: number, out: Actions): void {
    if (this.#tilde) return this.#escape(byte, out);
    if (!this.#options.escapes || !this.#lineStart || byte !== TILDE) return this.#pass(byte, out);
    this.#tilde = true;
    return undefined;
  }

  #escape(byte: number, out: Actions): void {
    this.#tilde = false;
    switch (byte) {
      case 0x2e:
        return out.act({ kind: "disconnect" });
      case 0x3f:
        return out.act({ kind: "help" });
      case 0x64:
        return out.act({ kind: "detach" });
      case CTRL_Z:
        return out.act({ kind: "suspend" });
      case TILDE:
        return this.#pass(TILDE, out);
      default:
        this.#pass(TILDE, out);
        return this.#pass(byte, out);
    }
  }

  #pass(byte: number, out: Actions): void {
    out.send(byte);
    this.#lineStart = LINE_ENDS.has(byte);
  }
}

/** Actions in order, bytes that follow each other in one. */
class Actions {
  readonly #done: KeyAction[] = [];
  #plain: number[] = [];

  send(byte: number): void {
    this.#plain.push(byte);
  }

  act(action: KeyAction): void {
    this.#flush();
    this.#done.push(action);
  }

  all(): KeyAction[] {
    this.#flush();
    return this.#done;
  }

  #flush(): void {
    if (this.#plain.length > 0) this.#done.push({ kind: "send", bytes: Uint8Array.from(this.#plain) });
    this.#plain = [];
  }
}

/** What `~?` shows. */
export const ESCAPE_HELP: string = [
  "~.   end the command and this connection",
  "~d   leave the command running",
  "~^Z  suspend banger",
  "~~   a tilde",
  "~?   this",
  "(behind a line break)",
  "",
].join("\r\n");
