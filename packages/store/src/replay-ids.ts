// A replay is a new message to everybody who remembers ids, and its id still says what it repeats: `<id>~<number>`.
const REPLAY = /^(.*)~(\d+)$/s;

/** The id of the n-th replay of whatever has (or repeats) this id. */
export const replayId = (id: string, replay: number): string => `${originalId(id)}~${replay}`;

/** The id without its replay's number. */
export const originalId = (id: string): string => REPLAY.exec(id)?.[1] ?? id;

/** Which replay an id stands for; 0: the first time. */
export const replayNumber = (id: string): number => Number(REPLAY.exec(id)?.[2] ?? 0);
