export type { Channel, EventMap, Gap, Message, MessageSource } from './channel.ts';
export { BifrostClient } from './client.ts';
export type { ListenOptions, Unlisten } from './listeners.ts';
export type { ClientOptions, ClientState, WebSocketLike } from './options.ts';
