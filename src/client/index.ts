export type { Channel, EventMap, Gap, Message, MessageSource } from './channel.ts';
export {
  BifrostClient,
  type ClientOptions,
  type ClientState,
  type WebSocketLike,
} from './client.ts';
export type { ListenOptions, Unlisten } from './listeners.ts';
