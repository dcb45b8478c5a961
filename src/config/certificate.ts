import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

/** The paths of a certificate and its key, in PEM. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Reads both files. Throws when one cannot be read, or when they do not belong together. */
export function readCertificate({ certFile, keyFile }: CertificateFiles): Certificate {
  const certificate = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  createSecureContext(certificate);
  return certificate;
}
