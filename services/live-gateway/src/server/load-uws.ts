/** Read by uWebSockets.js from the environment when it is first loaded. */
const maxHeaderVariable = 'UWS_HTTP_MAX_HEADERS_SIZE';

/**
 * Loads uWebSockets.js, whose binary supports fewer systems than Node. Its own error starts with a misleading reason:
 * the actual one is the last line.
 *
 * @param maxHeaderBytes maximum size of a request's head; a larger one gets 431.
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
  const message = error instanceof Error ? error.message : String(error);
  const reason = message.trim().split('\n').at(-1) ?? '';
  return (
    `uWebSockets.js does not load on ${platform} ${arch} with Node ${nodeVersion}: ${reason}. ` +
    'It needs Node 20 to 25 on Linux with glibc 2.38 or newer (Debian 13, Ubuntu 24.04; not Alpine), macOS or ' +
    'Windows. Use such a system, or the container image.'
  );
}
