import { chown } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from './find-program.ts';
import { findUnprivilegedUser } from './postgres-binaries.ts';

/** Paths of PEM files. */
export interface TestCertificates {
  readonly ca: string;
  /** For the name `localhost`, not for 127.0.0.1, signed by `ca`. */
  readonly server: string;
  /** Belongs to the user that Postgres runs as. */
  readonly serverKey: string;
}

/** Creates a certificate authority and a server's certificate, valid for two days, in this folder. */
export async function createCertificates(folder: string): Promise<TestCertificates> {
  const openssl = await findProgram(['openssl'], {
    accepts: (output) => /OpenSSL [3-9]/u.test(output),
    toolchain: '.',
    versionFlag: 'version',
  });
  if (openssl === undefined)
    throw new Error('a test needs openssl 3 on the PATH; on Debian ./run test fetches it');
  const path = (name: string): string => join(folder, name);
  const create = async (name: string, ...args: readonly string[]): Promise<void> => {
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const files = ['-keyout', path(`${name}.key`), '-out', path(`${name}.crt`)];
    await promisify(execFile)(openssl, ['req', '-x509', ...curve, ...files, ...args]);
  };
  await create('ca', '-subj', '/CN=test authority');
  const signed = ['-CA', path('ca.crt'), '-CAkey', path('ca.key')];
  const names = ['-addext', 'subjectAltName=DNS:localhost', '-addext', 'basicConstraints=CA:FALSE'];
  await create('server', '-subj', '/CN=localhost', ...signed, ...names);
  if (process.getuid?.() === 0) {
    const { uid, gid } = await findUnprivilegedUser();
    for (const name of ['server.key', 'server.crt']) await chown(path(name), uid, gid);
  }
  return { ca: path('ca.crt'), server: path('server.crt'), serverKey: path('server.key') };
}
