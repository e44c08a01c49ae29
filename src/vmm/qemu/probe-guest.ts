/** The probe guest as a firmware image. Its source, and what it does, is probe-guest.S. */

/** What probe-guest.S assembles to; the test beside this file assembles it again and compares. */
export const PROBE_CODE: Uint8Array = Buffer.from(
  "+i5mDwEWaPIPIMBmg8gBDyLAZuoa8P//CABmuBAAjtiOwI7Q/L4A8P//vwCAAAC5fgIAAPOk6j2AAAAIAA8BFW6CAAAxwL8AAAEA" +
    "uQAUAADzq8cFAAABAAMQAQDHBQAQAQADIAEAxwUAIAEAAzABAL8AMAEAuAMAAACJBwUAEAAAg8cIgf8AQAEAcu4PIOCDyCAPIuC4" +
    "AAABAA8i2LmAAADADzINAAEAAA8wDyDADQAAAYAPIsDqvYAAABgAZrgQAI7YjsCO0LwAgAAAMe3HBCXgQAEAKIIAAGbHBCXiQAEA" +
    "GADHBCXkQAEAAI4AAA8BHCV0ggAAMcAPooXAD4QBAQAAuAEAAIAPog+64h0Pg/AAAABIvoGSf13D4aa0vwAAAgBIifhIMfBIiQeB" +
    "xwAQAACB/wAABgBy6b8AAAIASIn4SDHwSDkHD4W2AAAAgccAEAAAgf8AAAYAcuO/AAACAOilAAAADwE8JQAAEADopQAAAL8AEAIA" +
    "6I4AAAAPATwlAAAQAOiOAAAAvwAgAgDodwAAAA8g2A8i2Oh5AAAASIk0JQgAEABIOTQlCCACAHVTSMcEJQA4AQAAAAAADwE8JQAA" +
    "EAC/ADACAOhJAAAAhe10MQ8g4A0AAgAADyLgZkgPbsZmD9TAZkgPfsBIjRQ2SDnQdQ+5AAAAAf/JdfywMeb06wSwEeb09Ov9SI1H" +
    "A0iJBCUAOAEAw0iJ+Egx8Eg5BCUAABAAddzDDyDVSIH9AAAQAHXPSMcEJQA4AQADMAIASIPECEjPZpAAAAAAAAAAAP//AAAAm88A" +
    "//8AAACTzwD//wAAAJuvAB8ASPL//x8ASIIAAO8AAEABAAAAAAA=",
  "base64",
);

/** QEMU's exit status when the guest found everything in order: isa-debug-exit ends QEMU with `2 * value + 1`. */
export const PROBE_WORKS_STATUS = 99;
/** QEMU's exit status when the guest ran but saw wrong results. */
export const PROBE_BROKEN_STATUS = 35;
export const PROBE_EXIT_PORT = 0xf4;

/** QEMU takes firmware in multiples of 64 KiB and maps its end to 4 GiB. */
const IMAGE_BYTES = 65536;
const CODE_OFFSET = 0xf000;
const RESET_VECTOR_OFFSET = 0xfff0;
/** `jmp` from the reset vector back to CODE_OFFSET, 16-bit. */
const RESET_JUMP = [0xe9, 0x0d, 0xf0];

/** A firmware image for `-bios` that runs `code` at reset. */
export function createProbeFirmware(code: Uint8Array = PROBE_CODE): Uint8Array {
  const image = new Uint8Array(IMAGE_BYTES);
  image.set(code, CODE_OFFSET);
  image.set(RESET_JUMP, RESET_VECTOR_OFFSET);
  return image;
}
