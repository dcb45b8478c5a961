import type { Bus } from '../bus.ts';
import { encodeAnswer } from './node-messages.ts';
import type { Surveys } from './survey.ts';

/** How long what a node publishes to itself may be under way, before the bus counts as one that loses texts. */
const DEADLINE_MS = 2_000;

/** Resolves to whether a text published to this node's own topic arrives. Never rejects. */
export async function probe(bus: Bus, surveys: Surveys, ownTopic: string): Promise<boolean> {
  try {
    const { answers } = await surveys.start(
      1,
      (id) => bus.publish(ownTopic, encodeAnswer(id, [0])),
      DEADLINE_MS,
    );
    return answers > 0;
  } catch {
    return false;
  }
}
