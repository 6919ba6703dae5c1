// Who is on a topic: questions that wait for their answer, one on the way per topic however many ask.
import type { ClientFrame, Present } from '../protocol/frames.ts';
import type { ClientError } from './errors.ts';

type Answer = readonly Present[] | ClientError;

export class Questions {
  readonly #waiting = new Map<string, ((answer: Answer) => void)[]>();

  /** `first` is called when nobody else asks for the same topic. */
  ask(topic: string, first: () => void): Promise<readonly Present[]> {
    return new Promise((resolve, reject) => {
      const answered = (answer: Answer): void => (answer instanceof Error ? reject(answer) : resolve(answer));
      const others = this.#waiting.get(topic);
      if (others) return void others.push(answered);
      this.#waiting.set(topic, [answered]);
      first();
    });
  }

  /** False where nobody asked. */
  answer(topic: string, answer: Answer): boolean {
    for (const answered of this.#waiting.get(topic) ?? []) answered(answer);
    return this.#waiting.delete(topic);
  }

  frames(): ClientFrame[] {
    return [...this.#waiting.keys()].map((topic) => ({ type: 'presence', topic }));
  }

  end(error: ClientError): void {
    for (const topic of this.#waiting.keys()) this.answer(topic, error);
  }
}
