import type { us_listen_socket as ListenSocket } from 'uWebSockets.js';

// What the module has at run time and its own declarations leave out.
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
