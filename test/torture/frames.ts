import { type Attack, inParallel, Random, seedFor, type Target, times } from './attack.ts';
import { Tally } from './tally.ts';
import { closeFrame, frame, HANDSHAKE, PING_MESSAGE, PONG_TEXT, WireClient } from './wire.ts';

/** Bytes behind a handshake, and the code that the server must answer them with. */
interface Broken {
  readonly what: string;
  readonly code: number;
  readonly bytes: (random: Random) => Buffer;
}

const MAX_MESSAGE_BYTES = 65_536;
const TEXT_START = 0x01;
const CONTINUATION = 0x00;

/** A random payload in a frame with a random mask. */
function anyFrame(random: Random, first: number, mask: Buffer | null = random.bytes(4)): Buffer {
  return frame(random.bytes(random.below(100)), { first, mask });
}

const REPEATED_FRAME_COUNT = 1_000;

const BROKEN: readonly Broken[] = [
  { what: 'an unmasked frame', code: 1002, bytes: (random) => anyFrame(random, 0x81, null) },
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
        frame('{', { first: TEXT_START }),
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
      frame(random.bytes(126 + random.below(300)), { first: random.pick([0x88, 0x89, 0x8a]) }),
  },
  {
    what: 'a close frame of one byte',
    code: 1002,
    bytes: (random) => frame(random.bytes(1), { first: 0x88 }),
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
  { what: 'text that is not UTF-8', code: 1007, bytes: (random) => frame(notUtf8(random)) },
  {
    what: 'text that is not UTF-8, in fragments',
    code: 1007,
    bytes: (random) => {
      const text = notUtf8(random);
      const at = random.below(text.length);
      return Buffer.concat([
        frame(text.subarray(0, at), { first: TEXT_START }),
        frame(text.subarray(at), { first: 0x80 | CONTINUATION }),
      ]);
    },
  },
  {
    what: 'a length over the limit',
    code: 1009,
    bytes: (random) => {
      const length = BigInt(MAX_MESSAGE_BYTES) + (1n << BigInt(random.below(52)));
      return frame(random.bytes(20), { length, lengthBytes: 8 });
    },
  },
  {
    what: 'a length of 2^53 and more',
    code: 1009,
    bytes: (random) => frame('', { length: 1n << BigInt(53 + random.below(11)), lengthBytes: 8 }),
  },
  {
    what: 'a message one byte too long',
    code: 1009,
    bytes: () => frame('{"event":"ping"}'.padEnd(MAX_MESSAGE_BYTES + 1)),
  },
  {
    what: 'fragments that are too long together',
    code: 1009,
    bytes: (random) => {
      const size = 20_000 + random.below(10_000);
      const part = frame(' '.repeat(size), { first: CONTINUATION });
      return Buffer.concat([frame('{', { first: TEXT_START }), part, part, part, part]);
    },
  },
  {
    what: 'a thousand fragments, empty or tiny',
    code: 1008,
    bytes: (random) => {
      const part = frame(' '.repeat(random.below(2)), { first: CONTINUATION });
      return Buffer.concat([
        frame('{', { first: random.pick([0x01, 0x02]) }),
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
  // A text that ends in the middle of a character is at fault too, so the broken part comes last.
  return Buffer.concat([around, random.pick(NOT_UTF8)]);
}

/** Every way to break RFC 6455, followed by more data: one close frame with the right code, and nothing else. */
export const brokenFrames: Attack = async (target) => {
  const tally = new Tally();
  const random = new Random(seedFor(target, 'broken frames'));
  await inParallel(BROKEN.length * times(target, 500), 64, async (index) => {
    const { what, code, bytes } = BROKEN[index % BROKEN.length] as Broken;
    const hostile = bytes(random);
    tally.message(hostile);
    tally.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE, hostile, PING_MESSAGE);
    await client.gone;
    tally.check(client.closedWith(code), () => `${what}: ${client.describe()}`);
  });
  return tally.outcome;
};

/** A hundred thousand fragments of a byte, in one message: 1008 long before its end. */
export const tinyFragments: Attack = async (target) => {
  const tally = new Tally();
  const count = times(target, 100_000);
  const flood = Buffer.concat([
    frame('{', { first: TEXT_START }),
    Buffer.alloc(7 * count, frame(' ', { first: CONTINUATION })),
  ]);
  for (const first of ['with the handshake', 'after it']) {
    tally.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE);
    if (first === 'after it') await client.upgraded();
    client.send(flood);
    await client.gone;
    const kept = client.closedWith(1008) || client.closedWith(1009);
    tally.check(kept, () => `${count} fragments: ${client.describe()}`, count);
  }
  return tally.outcome;
};

/** What looks hostile and is legal: pings between fragments, closes of every legal form, long ways to say a length. */
export const oddButLegal: Attack = async (target) => {
  const tally = new Tally();
  const random = new Random(seedFor(target, 'odd but legal'));
  await inParallel(times(target, 1_000), 32, async () => {
    await pingsBetweenFragments(target, tally, random);
    await legalClose(target, tally, random);
    await dataAfterClose(target, tally);
  });
  return tally.outcome;
};

async function pingsBetweenFragments({ port }: Target, tally: Tally, random: Random) {
  const payload = random.word(random.below(126));
  const ping = frame(payload, { first: 0x89, mask: random.bytes(4) });
  tally.handshakes += 1;
  const client = new WireClient(port).send(
    HANDSHAKE,
    frame('{"event"', { first: TEXT_START }),
    ping,
    frame(':"pi', { first: CONTINUATION, mask: random.bytes(4) }),
    ping,
    frame('', { first: CONTINUATION }),
    frame('ng"}', { first: 0x80 | CONTINUATION }),
  );
  await client.received(3);
  const pong = `opcode 10 ${Buffer.from(payload).toString('hex')}`;
  const kept = client.texts.join() === [pong, pong, PONG_TEXT].join();
  tally.check(kept, () => `pings between fragments: ${client.describe()}`);
  client.socket.destroy();
  await client.gone;
}

async function legalClose({ port }: Target, tally: Tally, random: Random) {
  const code = random.pick([1000, 1001, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999]);
  const reason = random.word(random.below(124));
  const isEmpty = random.below(10) === 0;
  tally.handshakes += 1;
  const bytes = isEmpty ? frame('', { first: 0x88 }) : closeFrame(code, reason);
  const client = new WireClient(port, { answersClose: false }).send(HANDSHAKE, bytes);
  await client.gone;
  const kept = isEmpty ? client.closedWith(1005) : client.closedWith(code, reason);
  tally.check(kept && client.ended, () => `close ${code} ${reason}: ${client.describe()}`);
}

async function dataAfterClose({ port }: Target, tally: Tally) {
  tally.handshakes += 1;
  const client = new WireClient(port, { answersClose: false }).send(
    HANDSHAKE,
    closeFrame(1000),
    PING_MESSAGE,
    frame('garbage'),
    frame('x', { mask: null }),
    closeFrame(1001),
  );
  await client.gone;
  tally.check(client.closedWith(1000), () => `data after close: ${client.describe()}`);
}

const LARGEST_BURST = 50;

/** As many as the server has promised to answer at a time, read before the next: a pong for every ping. */
export const pingsInChunks: Attack = async (target) => {
  const tally = new Tally();
  const count = times(target, 100_000);
  const chunk = Buffer.alloc(6 * LARGEST_BURST, frame('', { first: 0x89 }));
  tally.handshakes += 1;
  const client = new WireClient(target.port).send(HANDSHAKE);
  await client.upgraded();
  let pongs = 0;
  client.onFrame = () => {
    pongs += 1;
  };
  for (let sent = 0; sent < count; sent += LARGEST_BURST) {
    client.send(chunk);
    if (!(await client.until(() => pongs >= sent + LARGEST_BURST))) break;
  }
  // A fence: whatever came before its answer would have been one pong too many.
  client.send(PING_MESSAGE);
  await client.until(() => pongs > count);
  tally.check(pongs === count + 1, () => `${pongs} pongs for ${count} pings`, count);
  client.socket.destroy();
  await client.gone;
  return tally.outcome;
};

/** All at once and never read: the connection is ended. */
export const pingsUnread: Attack = async (target) => {
  const tally = new Tally();
  const count = times(target, 100_000);
  tally.handshakes += 1;
  const client = new WireClient(target.port).send(HANDSHAKE);
  await client.upgraded();
  let pongs = 0;
  client.onFrame = () => {
    pongs += 1;
  };
  client.socket.pause();
  client.send(Buffer.alloc(6 * count, frame('', { first: 0x89 })));
  // Not reading, it learns of its end only by failing to write.
  const writes = setInterval(() => client.send(PING_MESSAGE), 20);
  await client.gone;
  clearInterval(writes);
  tally.check(pongs < count, () => `${pongs} pongs for ${count} pings, not ended`, count);
  return tally.outcome;
};
