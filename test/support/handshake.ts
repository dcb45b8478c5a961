export interface HandshakeOptions {
  readonly path?: string;
  readonly method?: string;
  /** Replace the fields of a correct handshake or come after them; undefined leaves a field out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

/** The text of a websocket handshake's request (RFC 6455 §4.1): a correct one unless `options` change it. */
export function handshake(options: HandshakeOptions = {}): string {
  const { path = '/subscribe', method = 'GET', headers = {} } = options;
  const fields = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  };
  const lines = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
