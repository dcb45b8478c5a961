export type { Broadcast, Message } from './broadcast.ts';
export { BifrostError, type BifrostErrorCode, type BifrostErrorDetails } from './error.ts';
export {
  BifrostPublisher,
  type PublisherOptions,
  type PublishOptions,
  type SubscriptionTokenOptions,
} from './publisher.ts';
export type { PublishedBroadcast } from './queue.ts';
