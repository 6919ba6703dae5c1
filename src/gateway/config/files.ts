// Reads what a configuration keeps in files of their own: certificates, keys, secrets. What is not there, cannot be read or does
// not fit together is told before anything is started.
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Certificate } from '../settings.ts';
import type { CertificateFile, SecretFile } from './file.ts';
import type { Notes } from './notes.ts';
import type { Path } from './source.ts';

export class Files {
  readonly #folder: string;
  readonly #notes: Notes;

  /** Paths are taken from `folder` on: that of the configuration. */
  constructor(folder: string, notes: Notes) {
    this.#folder = folder;
    this.#notes = notes;
  }

  path(of: string): string {
    return resolve(this.#folder, of);
  }

  /** null: it cannot be had, and that was told. */
  secret(of: SecretFile, path: Path): string | null {
    if (typeof of === 'string') return of;
    const text = this.#read(of.file, [...path, 'file'])?.trim() ?? null;
    if (text !== '') return text;
    this.#notes.add([...path, 'file'], 'must hold something', `an empty file (${of.file})`);
    return null;
  }

  certificate(of: CertificateFile, path: Path): Certificate {
    const cert = this.#pem(of.cert, [...path, 'cert'], (text) => new X509Certificate(text));
    const key = this.#pem(of.key, [...path, 'key'], (text) => createPrivateKey(text));
    if (cert !== null && key !== null && !belong(cert.parsed, key.parsed)) {
      this.#notes.add([...path, 'key'], `must be the key of the certificate in ${of.cert}`, `another one in ${of.key}`);
    }
    return { cert: cert?.text ?? '', key: key?.text ?? '' };
  }

  authorities(of: string, path: Path): string {
    return this.#pem(of, path, (text) => new X509Certificate(text))?.text ?? '';
  }

  #pem<T>(file: string, path: Path, parse: (text: string) => T): { readonly text: string; readonly parsed: T } | null {
    const text = this.#read(file, path);
    if (text === null) return null;
    try {
      return { text, parsed: parse(text) };
    } catch (error) {
      this.#notes.add(
        path,
        `must be a PEM file with a ${path.at(-1) === 'key' ? 'private key without a passphrase' : 'certificate'}`,
        `${file} (${(error as Error).message})`,
      );
      return null;
    }
  }

  #read(file: string, path: Path): string | null {
    try {
      return readFileSync(this.path(file), 'utf8');
    } catch (error) {
      this.#notes.add(path, 'must be a file that can be read', `${file} (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`);
      return null;
    }
  }
}

const belong = (cert: X509Certificate, key: KeyObject): boolean => cert.checkPrivateKey(key);
