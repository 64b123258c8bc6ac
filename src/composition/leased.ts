/** The drivers of a configuration's services that no transaction of the network moves. A new one is a line in each of these. */
import { type BoardName } from "../board/board.ts";
import { lineSocket } from "../board/qemu/line-ports.ts";
import type { Config } from "../config/config.ts";
import type { LeasedService } from "../service/leased.ts";
import type { BoardPort } from "../service/line/board-end.ts";
import { lineFindings } from "../service/line/host.ts";
import { letGoOfLines } from "../service/line/let-go.ts";
import { LineService } from "../service/line/line-service.ts";
import type { Finding } from "../system/finding.ts";
import { systemNames } from "../system/names.ts";

/** @param uid whom the boards' processes run as */
export function leasedOf({ system, lines }: Config, uid: number): LeasedService[] {
  const names = systemNames(system);
  return lines.map((line) => {
    const port = (board: BoardName): BoardPort => ({ path: lineSocket(names, board, line.name), uid });
    return new LineService({ names, line, ports: { a: port("a"), b: port("b") } });
  });
}

/** What an earlier configuration had and this one has no more is let go of; all of it with `nothing: true`. Errors: those of what carries it. */
export async function letGoOfFormer(
  { system, lines }: Config,
  signal: AbortSignal,
  { nothing = false }: { readonly nothing?: boolean } = {},
): Promise<void> {
  const keep = nothing ? [] : lines.map(({ name }) => name);
  await letGoOfLines(systemNames(system), { keep }, signal);
}

/** What these services need of the host. Changes nothing. */
export async function leasedFindings({ system, lines }: Config): Promise<Finding[]> {
  return await lineFindings(systemNames(system), lines);
}
