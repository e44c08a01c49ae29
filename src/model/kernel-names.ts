/** Names of kernels, and those that mean something by themselves. */
import { BangerError } from "./errors.ts";
import { quote } from "./names.ts";

/** What a VM boots when nobody says: Debian's cloud kernel, fetched when it is not there. */
export const DEFAULT_KERNEL = "debian";
/** The kernel that the host runs, taken over when it is first asked for. */
export const HOST_KERNEL = "host";
/** Whichever kernel the VM's image holds. */
export const IMAGE_KERNEL = "image";

/** 1 to 63 of `a-z 0-9 . -`, beginning and ending with a letter or digit. Errors: `invalid_argument`. */
export function validateKernelName(name: string): string {
  if (/^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/u.test(name)) return name;
  throw new BangerError("invalid_argument", `the kernel name ${quote(name)} is not valid`, {
    cure: "use 1 to 63 of a-z, 0-9, '.' and '-'; see which there are with: banger kernel ls",
    details: { field: "kernel" },
  });
}

/** The name that an import may give: not what an image's own kernel is called. Errors: `invalid_argument`. */
export function validateNewKernelName(name: string): string {
  validateKernelName(name);
  if (name !== IMAGE_KERNEL && !name.startsWith(`${IMAGE_KERNEL}-`)) return name;
  throw new BangerError(
    "invalid_argument",
    `the kernel name ${quote(name)} is for kernels inside of images`,
    {
      cure: "choose another name",
      details: { field: "kernel" },
    },
  );
}

/** Under which name the kernel inside an image is kept. */
export function nameOfImageKernel(imageDigest: string): string {
  return `${IMAGE_KERNEL}-${imageDigest.slice(0, 12)}`;
}
