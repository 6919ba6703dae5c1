// Opens the source that a piece of configuration names.
import { dnsSource } from './dns.ts';
import { fileSource } from './file.ts';
import { fleetSource } from './fleet.ts';
import { kubernetesSource } from './kubernetes.ts';
import { listSource } from './list.ts';
import type { OpenSource, SourcePorts } from './source.ts';

export const discover =
  (ports: SourcePorts): OpenSource =>
  (settings, deliver) => {
    switch (settings.kind) {
      case 'list':
        return listSource(settings.upstreams, deliver);
      case 'file':
        return fileSource(settings.path, deliver, ports);
      case 'dns':
      case 'srv':
        return dnsSource(settings, deliver, ports);
      case 'kubernetes':
        return kubernetesSource(settings, deliver, ports);
      case 'fleet':
        return fleetSource(settings, deliver, ports);
    }
  };
