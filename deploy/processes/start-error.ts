// npm start, npm test, npm run check: a failure that a person can do something about.

/** Names the step, the cause (the message) and what to do; printed by `progress.fail`, never with a stack trace. */
export class StartError extends Error {
  readonly stepName: string;
  readonly remedy: string | undefined;

  /** @param cause one line @param remedy what to do; may have several lines */
  constructor(stepName: string, cause: string, remedy?: string) {
    super(cause);
    this.stepName = stepName;
    this.remedy = remedy;
  }
}

/** Thrown by whatever was under way when a signal asked us to stop; not a failure. */
export class StopRequested extends Error {}
