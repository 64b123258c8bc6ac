/** The product's version. */
import { readFileSync } from "node:fs";

interface PackageFile {
  readonly version: string;
}

export const { version } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as PackageFile;
