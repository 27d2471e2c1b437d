import type { us_listen_socket as ListenSocket } from 'uWebSockets.js';

// Exists at run time, but is missing from the module's own declarations.
declare module 'uWebSockets.js' {
  export const LIBUS_LISTEN_EXCLUSIVE_PORT: number;
  interface TemplatedApp {
    listen(
      host: string,
      port: number,
      options: number,
      callback: (listenSocket: ListenSocket | false) => void,
    ): TemplatedApp;
  }
}
