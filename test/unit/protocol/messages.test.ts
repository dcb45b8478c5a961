import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSubscription } from '../../../src/protocol/claims.ts';
import { parseBroadcastBody, parseClientMessage } from '../../../src/protocol/messages.ts';
import { parsePublishing } from '../../../src/protocol/publishing.ts';
import { looseJson } from '../../support/loose-json.ts';

describe('the parsers', () => {
  it('never throw on any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json(), looseJson), (text) => {
        parseClientMessage(text);
        parseBroadcastBody(text);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never throw on any claims and never let through what is not of the contract', () => {
    const anything = fc.jsonValue();
    const claims = fc.record(
      {
        channel: anything,
        channels: fc.oneof(anything, fc.array(fc.string())),
        message: anything,
        broadcasts: fc.oneof(
          anything,
          fc.array(
            fc.oneof(
              anything,
              fc.record(
                {
                  channel: anything,
                  channels: fc.array(fc.string()),
                  message: anything,
                  history: fc.boolean(),
                },
                { requiredKeys: [] },
              ),
            ),
          ),
        ),
        jti: anything,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(claims, (value) => {
        const json = JSON.stringify(value);
        const signed = { claims: JSON.parse(json), json };
        const broadcast = parsePublishing(signed, 255);
        if (broadcast.ok && 'channel' in broadcast.value) {
          expect(JSON.parse(broadcast.value.message)).toBeTypeOf('object');
          expect(broadcast.value.channel).toBe(value.channel);
        }
        if (broadcast.ok && 'publications' in broadcast.value) {
          const { publications, entrySizes } = broadcast.value;
          expect(publications.length).toBe(entrySizes.reduce((sum, size) => sum + size, 0));
          for (const each of publications) expect(JSON.parse(each.message)).toBeTypeOf('object');
        }
        const subscription = parseSubscription(signed, 255);
        if (subscription.ok) expect(subscription.value).toEqual(value.channels);
      }),
      { numRuns: 2_000 },
    );
  });
});
