/** The route table: what each operation takes and gives. The server and the OpenAPI document are made from it. */
import type { RouteContract } from "./contract.ts";
import type { OperationId } from "./paths.ts";
import { HOST_ROUTES } from "./routes/host.ts";
import { IMAGE_ROUTES } from "./routes/images.ts";
import { KEPT_ROUTES } from "./routes/kept.ts";
import { VM_ROUTES } from "./routes/vms.ts";

export const ROUTES: Readonly<Record<OperationId, RouteContract>> = {
  ...HOST_ROUTES,
  ...VM_ROUTES,
  ...IMAGE_ROUTES,
  ...KEPT_ROUTES,
};
