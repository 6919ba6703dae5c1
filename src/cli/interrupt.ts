// Ctrl-C and SIGTERM as a promise, for commands that run until somebody ends them.
import { onSignals } from '../host/signals.ts';

export interface Interrupt extends Disposable {
  /** Resolves at the first signal. */
  readonly happened: Promise<NodeJS.Signals>;
}

/** Takes SIGINT and SIGTERM from now on, until it is disposed of. A second signal has its usual effect: it ends the process. */
export function onInterrupt(): Interrupt {
  let stop = (): void => {};
  const happened = new Promise<NodeJS.Signals>((resolve) => {
    const listening = onSignals(['SIGINT', 'SIGTERM'], (signal) => {
      stop();
      resolve(signal);
    });
    stop = () => listening.stop();
  });
  return { happened, [Symbol.dispose]: () => stop() };
}
