import { clientFrame } from '../support/client-frame.ts';
import { Random } from '../support/random.ts';
import { type Attack, inParallel, seedFor, times } from './attack.ts';
import { closeFrame, HANDSHAKE, PING_MESSAGE } from './client-messages.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';

/** Bytes that violate RFC 6455, and the code with which the server must close. */
interface BrokenInput {
  readonly what: string;
  readonly code: number;
  readonly bytes: (random: Random) => Buffer;
}

const MAX_MESSAGE_BYTES = 65_536;
const TEXT_START = 0x01;
const CONTINUATION = 0x00;

/** A random payload in a frame with a random mask. */
function anyFrame(random: Random, first: number): Buffer {
  const mask = random.bytes(4);
  return clientFrame(random.bytes(random.below(100)), { first, mask });
}

const REPEATED_FRAME_COUNT = 1_000;

const BROKEN_INPUTS: readonly BrokenInput[] = [
  {
    what: 'an unmasked frame',
    code: 1002,
    bytes: (random) => clientFrame(random.bytes(random.below(100)), { masked: false }),
  },
  {
    what: 'RSV bits',
    code: 1002,
    bytes: (random) => anyFrame(random, 0x81 | ((1 + random.below(7)) << 4)),
  },
  {
    what: 'a reserved opcode',
    code: 1002,
    bytes: (random) => anyFrame(random, 0x80 | random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])),
  },
  {
    what: 'a continuation of nothing',
    code: 1002,
    bytes: (random) => anyFrame(random, random.pick([0x80, 0x00])),
  },
  {
    what: 'a new message inside a fragmented one',
    code: 1002,
    bytes: (random) =>
      Buffer.concat([
        clientFrame('{', { first: TEXT_START }),
        anyFrame(random, random.pick([0x81, 0x02])),
      ]),
  },
  {
    what: 'a fragmented control frame',
    code: 1002,
    bytes: (random) => anyFrame(random, random.pick([0x08, 0x09, 0x0a])),
  },
  {
    what: 'a control frame of more than 125 bytes',
    code: 1002,
    bytes: (random) =>
      clientFrame(random.bytes(126 + random.below(300)), {
        first: random.pick([0x88, 0x89, 0x8a]),
      }),
  },
  {
    what: 'a close frame of one byte',
    code: 1002,
    bytes: (random) => clientFrame(random.bytes(1), { first: 0x88 }),
  },
  {
    what: 'a close frame with an illegal code',
    code: 1002,
    bytes: (random) =>
      closeFrame(
        random.pick([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]),
        random.word(random.below(50)),
      ),
  },
  {
    what: 'a close reason that is not UTF-8',
    code: 1007,
    bytes: (random) => closeFrame(1000, random.pick(NOT_UTF8)),
  },
  { what: 'text that is not UTF-8', code: 1007, bytes: (random) => clientFrame(notUtf8(random)) },
  {
    what: 'text that is not UTF-8, in fragments',
    code: 1007,
    bytes: (random) => {
      const text = notUtf8(random);
      const at = random.below(text.length);
      return Buffer.concat([
        clientFrame(text.subarray(0, at), { first: TEXT_START }),
        clientFrame(text.subarray(at), { first: 0x80 | CONTINUATION }),
      ]);
    },
  },
  {
    what: 'a length over the limit',
    code: 1009,
    bytes: (random) => {
      const length = BigInt(MAX_MESSAGE_BYTES) + (1n << BigInt(random.below(52)));
      return clientFrame(random.bytes(20), { length, lengthBytes: 8 });
    },
  },
  {
    what: 'a length of 2^53 and more',
    code: 1009,
    bytes: (random) =>
      clientFrame('', { length: 1n << BigInt(53 + random.below(11)), lengthBytes: 8 }),
  },
  {
    what: 'a message one byte too long',
    code: 1009,
    bytes: () => clientFrame('{"event":"ping"}'.padEnd(MAX_MESSAGE_BYTES + 1)),
  },
  {
    what: 'fragments that are too long together',
    code: 1009,
    bytes: (random) => {
      const size = 20_000 + random.below(10_000);
      const part = clientFrame(' '.repeat(size), { first: CONTINUATION });
      return Buffer.concat([clientFrame('{', { first: TEXT_START }), part, part, part, part]);
    },
  },
  {
    what: 'a thousand fragments, empty or tiny',
    code: 1008,
    bytes: (random) => {
      const part = clientFrame(' '.repeat(random.below(2)), { first: CONTINUATION });
      return Buffer.concat([
        clientFrame('{', { first: random.pick([0x01, 0x02]) }),
        ...Array.from({ length: REPEATED_FRAME_COUNT }, () => part),
      ]);
    },
  },
];

/** Overlong, surrogates, beyond Unicode, lone continuation, cut off. */
const NOT_UTF8 = ['c0af', 'e080af', 'eda080', 'edbfbf', 'f4908080', 'ff', '80', 'c3', 'e282'].map(
  (hex) => Buffer.from(hex, 'hex'),
);

function notUtf8(random: Random): Buffer {
  const around = Buffer.from(random.word(random.below(40)));
  // Last, because some of these are faults only at the end of a text.
  return Buffer.concat([around, random.pick(NOT_UTF8)]);
}

/** Every violation of RFC 6455, then more data. The server must send one close frame with the right code and no more. */
export const brokenFrames: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'broken frames'));
  await inParallel(BROKEN_INPUTS.length * times(target, 500), 64, async (index) => {
    const { what, code, bytes } = BROKEN_INPUTS[index % BROKEN_INPUTS.length] as BrokenInput;
    const hostile = bytes(random);
    results.addMessage(hostile);
    results.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE, hostile, PING_MESSAGE);
    await client.disconnected;
    results.check(client.closedWith(code), () => `${what}: ${client.describe()}`);
  });
  return results.outcome;
};
