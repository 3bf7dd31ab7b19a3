// Preloaded into a service: at each SIGUSR2 its wall clock steps, by +5 min, then to −5 min, then back. Its monotonic
// clock goes on, as with a real step.
const STEPS_MS = [300_000, -300_000, 0];
const RealDate = Date;
let taken = 0;
let offsetMs = 0;

class SteppedDate extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + offsetMs);
    else super(...given);
  }

  static now() {
    return RealDate.now() + offsetMs;
  }
}
// Some libraries know types by their names.
Object.defineProperty(SteppedDate, 'name', { value: 'Date' });
globalThis.Date = SteppedDate;

process.on('SIGUSR2', () => {
  offsetMs = STEPS_MS[taken++ % STEPS_MS.length] ?? 0;
});
