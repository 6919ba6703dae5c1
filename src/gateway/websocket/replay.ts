// Keeps the first messages of a client, as the frames that they came in, for the next upstream.
import type { WebSocketSettings } from '../settings.ts';
import { frameAt } from './frames.ts';
import type { Life } from './tunnel.ts';

/**
 * `frames`: whole frames that are passed on now; null: a part of one that is too large to be kept. What does not fit into
 * `holdBytes` is not kept, and nothing after it: a replay has no holes.
 */
export function record(life: Life, frames: Buffer | null, { holdBytes }: WebSocketSettings): void {
  if (frames === null) return stop(life);
  for (let at = 0; at < frames.length && life.replayLeft > 0;) {
    const frame = frameAt(frames, at);
    at = frame.end;
    if (frame.opcode >= 8) continue;
    life.replayBytes += frame.end - frame.begin;
    if (frame.end > frames.length || life.replayBytes > holdBytes) return stop(life);
    life.replay.push(Buffer.from(frames.subarray(frame.begin, frame.end)));
    life.replayOpen++;
    if (!frame.fin) continue;
    life.replayOpen = 0;
    life.replayLeft--;
  }
}

function stop(life: Life): void {
  life.replay.length -= life.replayOpen;
  life.replayOpen = 0;
  life.replayLeft = 0;
}
