// WeCom simulator: the two times it knows, the machine's and the platform's (which tests may shift).

export type Clock = {
  /** Epoch ms of this machine with sub-ms precision, never shifted: for latency figures. */
  realMs(): number;
  /** Epoch ms as the simulated platform sees it: `realMs` plus the offset. */
  nowMs(): number;
  /** The platform's time in whole seconds, as `send_time` carries it. */
  nowS(): number;
  offsetMs(): number;
  setOffset(offsetMs: number): void;
};

/** `real` may be replaced in tests; it must return epoch ms. */
export function createClock(
  offsetMs = 0,
  real: () => number = () => performance.timeOrigin + performance.now(),
): Clock {
  let offset = offsetMs;
  const nowMs = () => real() + offset;
  return {
    realMs: real,
    nowMs,
    nowS: () => Math.floor(nowMs() / 1000),
    offsetMs: () => offset,
    setOffset: (value) => {
      offset = value;
    },
  };
}
