// placeholder
import type { DemoPorts } from './demo.ts';
import type { DemoOptions } from './options.ts';
export async function runLive(_o: DemoOptions, _p: DemoPorts, _x: { readonly port: number; readonly say: (line: string) => void }): Promise<void> {}
