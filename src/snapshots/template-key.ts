/** The name of a template: everything that decides what a booted machine is. */
import { createHash } from "node:crypto";
import type { TemplateWish } from "../model/saved.ts";

/** Raised when banger configures or warms a template in another way. */
const RECIPE = 3;

/** 32 hex digits, equal for equal inputs only. */
export function templateKey({ inputs }: TemplateWish): string {
  const { image, kernelPath, initramfsPath, vcpus, memoryMib, driver, driverKey, devices } = inputs;
  const all = [RECIPE, image, kernelPath, initramfsPath, vcpus, memoryMib, driver, driverKey, devices];
  return createHash("sha256").update(JSON.stringify(all)).digest("hex").slice(0, 32);
}

/** A template's id says the size of its disk, too. */
export function templateId(key: string, diskMib: number): string {
  return `${key}-${diskMib}`;
}

/** The parts of an id; undefined for what is none. */
export function parseTemplateId(id: string): { readonly key: string; readonly diskMib: number } | undefined {
  const [, key, disk] = /^([0-9a-f]{32})-([1-9][0-9]{0,8})$/.exec(id) ?? [];
  return key === undefined ? undefined : { key, diskMib: Number(disk) };
}

/** Whether this is the id of a template, or of one in which the setup of a work tree has run. */
export function isTemplateId(id: string): boolean {
  return parseTemplateId(id.replace(/-w$/, "")) !== undefined;
}
