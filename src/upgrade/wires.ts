/** The boards' own wires, where each has one: what a cut one means for who should serve. */
import type { BoardName } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import type { Service } from "../service/service.ts";
import type { Scene } from "./scene.ts";

/** Why the service would lose the outside if it moved: the wire of `to` is cut, that of `from` is not. `null`: it would not. */
export async function lossByMove(service: Service, from: BoardName, to: BoardName): Promise<string | null> {
  const [here, there] = await Promise.all([service.wireObstacle(from), service.wireObstacle(to)]);
  return here === null ? there : null;
}

/**
 * Runs `work` on a scene whose signal aborts with `board-unlinked` as soon as the outside could be reached through the other board's wire
 * only. With both wires cut neither board is better, and nothing is known against the software.
 */
export async function whileLinked<T>(
  scene: Scene,
  name: BoardName,
  other: BoardName | null,
  work: (scene: Scene) => Promise<T>,
): Promise<T> {
  if (other === null) return await work(scene);
  const { service, onTrouble } = scene.parts;
  const cut = new AbortController();
  const look = async (): Promise<void> => {
    const obstacle = await lossByMove(service, other, name);
    if (obstacle !== null)
      cut.abort(new TwinboardError("board-unlinked", { detail: `board ${name}: ${obstacle}` }));
  };
  const heard = (): void => void look().catch(onTrouble);
  const ends = [name, other].map((board) => service.watchWire(board, heard));
  try {
    await look();
    return await work(scene.withSignal(AbortSignal.any([scene.signal, cut.signal])));
  } finally {
    for (const end of ends) end();
    cut.signal.throwIfAborted();
  }
}
