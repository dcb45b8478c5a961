import { connect, type Socket } from 'node:net';

/** A kept-alive HTTP/1.1 connection that posts one request at a time, on a raw socket, since `node:http` costs more. */
export class PostConnection {
  readonly #socket: Socket;
  #received = '';
  #onReply: ((reply: string) => void) | undefined;
  #onError: ((error: Error) => void) | undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: unknown) => this.#read(String(text)));
    this.#socket.on('error', (error) => this.#onError?.(error));
    this.#socket.on('close', () => {
      this.#onError?.(new Error('The server closed the connection of a POST'));
    });
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** Sends a whole request. Resolves to the whole answer, decoded as Latin-1. */
  post(request: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#onReply = resolve;
      this.#onError = reject;
      this.#socket.write(request);
    });
  }

  #read(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd === -1) return;
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#received.slice(0, headEnd))?.[1];
    if (length === undefined) {
      this.#onError?.(new Error(`An answer has no Content-Length: ${this.#received}`));
      return;
    }
    if (this.#received.length < headEnd + 4 + Number(length)) return;
    const reply = this.#received;
    this.#received = '';
    this.#onReply?.(reply);
  }
}
