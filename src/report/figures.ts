/** Figures as a report tells them: no more digits than anybody reads, and a time that names its zone. */

/** `0.4 ms`, `37 ms`, `4.21 s`, `12.0 s`, `2 min 05 s`, `3 h 02 min`. */
export function spanText(ms: number): string {
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}

/** `512 B`, `64.0 KiB`, `231.4 MiB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = bytes < 1024 ** 2 ? 1 : bytes < 1024 ** 3 ? 2 : 3;
  return `${(bytes / 1024 ** power).toFixed(1)} ${["B", "KiB", "MiB", "GiB"][power] ?? ""}`;
}

/** `14:03:05 UTC`. */
export function clockText(at: number): string {
  return `${iso(at).slice(11, 19)} UTC`;
}

/** `2026-11-23 14:03:05 UTC`. */
export function instantText(at: number): string {
  return `${iso(at).slice(0, 10)} ${clockText(at)}`;
}

/** `no connection`, `1 connection`, `12 connections`. */
export function countText(count: number, noun: string): string {
  return `${count === 0 ? "no" : count} ${noun}${count === 1 || count === 0 ? "" : "s"}`;
}

/** ISO 8601; of what is no time, the beginning of it. */
export function iso(at: number): string {
  return new Date(Math.abs(at) <= 8.64e15 ? at : 0).toISOString();
}

const two = (value: number): string => String(value).padStart(2, "0");
