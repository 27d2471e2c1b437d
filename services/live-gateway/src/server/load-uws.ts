/** What uWebSockets.js takes from the environment, when it is loaded for the first time. */
const maxHeaderVariable = 'UWS_HTTP_MAX_HEADERS_SIZE';

/**
 * Loads uWebSockets.js, whose binary fits fewer systems than Node does. Its own message names a wrong reason first, so
 * what it takes is said here, with the true one (the last line of its message).
 *
 * @param maxHeaderBytes the longest head of a request; a longer one is answered 431.
 */
export async function loadUws(maxHeaderBytes: number) {
  process.env[maxHeaderVariable] = String(maxHeaderBytes);
  try {
    return await import('uWebSockets.js');
  } catch (error) {
    throw new Error(bindingProblem(error, process.platform, process.arch, process.version), { cause: error });
  }
}

export function bindingProblem(error: unknown, platform: string, arch: string, nodeVersion: string): string {
  const text = error instanceof Error ? error.message : String(error);
  const reason = text.trim().split('\n').at(-1) ?? '';
  return (
    `uWebSockets.js does not load on ${platform} ${arch} with Node ${nodeVersion}: ${reason}. ` +
    'It needs Node 20 to 25 on Linux with glibc 2.38 or newer (Debian 13, Ubuntu 24.04; not Alpine), macOS or ' +
    'Windows. Use such a system, or the container image.'
  );
}
