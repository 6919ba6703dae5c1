// Opens the source that a piece of configuration names.
import { listSource } from './list.ts';
import type { OpenSource, SourcePorts } from './source.ts';

export const discover =
  (ports: SourcePorts): OpenSource =>
  (settings, deliver) => {
    switch (settings.kind) {
      case 'list':
        return listSource(settings.upstreams, deliver);
      default:
        throw new Error(settings.kind + String(ports));
    }
  };
