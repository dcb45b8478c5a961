import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const MAX_COLOURS = 256;

interface Image {
  readonly width: number;
  readonly height: number;
  /** Each as 0xRRGGBB, line by line. */
  readonly pixels: Uint32Array;
}

/**
 * The picture with 256 colours, each pixel with the nearest of them: a third of the bytes. Takes what Chromium writes:
 * eight bits a channel, without alpha or interlacing.
 */
export function shrinkPng(png: Buffer): Buffer {
  return encode(decode(png));
}

function decode(png: Buffer): Image {
  const data: Buffer[] = [];
  let header: Buffer = Buffer.alloc(0);
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    const content = png.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') header = content;
    if (type === 'IDAT') data.push(content);
    at += length + 12;
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  if (header.toString('hex', 8) !== '0802000000') throw new Error('not an RGB picture');
  const bytes = unfilter(inflateSync(Buffer.concat(data)), width * 3, height);
  const pixels = Uint32Array.from({ length: width * height }, (_, n) => bytes.readUIntBE(n * 3, 3));
  return { width, height, pixels };
}

/** The bytes of the pixels: each line says how its bytes were predicted from those around them (PNG §9.2). */
function unfilter(filtered: Buffer, stride: number, height: number): Buffer {
  const bytes = Buffer.alloc(stride * height);
  const at = (x: number, y: number) => (x < 0 || y < 0 ? 0 : (bytes[y * stride + x] as number));
  for (let y = 0; y < height; y += 1) {
    const start = y * (stride + 1);
    for (let x = 0; x < stride; x += 1) {
      const [left, up, corner] = [at(x - 3, y), at(x, y - 1), at(x - 3, y - 1)];
      const predictions = [0, left, up, (left + up) >> 1, paeth(left, up, corner)];
      const prediction = predictions[filtered[start] as number] as number;
      bytes[y * stride + x] = (filtered[start + 1 + x] as number) + prediction;
    }
  }
  return bytes;
}

/** PNG §9.4. */
function paeth(left: number, up: number, corner: number): number {
  const [toLeft, toUp] = [Math.abs(up - corner), Math.abs(left - corner)];
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function encode({ width, height, pixels }: Image): Buffer {
  const numbers = new Map<number, number>();
  for (const colour of pixels) numbers.set(colour, (numbers.get(colour) ?? 0) + 1);
  const { palette, indices } = choosePalette(numbers);

  const lines = Buffer.alloc((width + 1) * height);
  pixels.forEach((colour, n) => {
    lines[n + Math.floor(n / width) + 1] = indices.get(colour) as number;
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Eight bits for the index of a colour.
  header.set([8, 3, 0, 0, 0], 8);
  const colours = Buffer.from(palette.flatMap((rgb) => [rgb >> 16, (rgb >> 8) & 255, rgb & 255]));
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', colours),
    chunk('IDAT', deflateSync(lines, { level: 9, memLevel: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/**
 * Takes the most frequent colour, and then again and again the one whose pixels would be furthest from what they were:
 * a thin rainbow counts as well as a large grey. Gives the index of the nearest for every colour.
 */
function choosePalette(numbers: ReadonlyMap<number, number>) {
  const palette: number[] = [];
  const indices = new Map<number, number>();
  const distances = new Map<number, number>();
  for (const colour of numbers.keys()) distances.set(colour, 1);
  while (palette.length < MAX_COLOURS) {
    let [worst, worstError] = [0, 0];
    for (const [colour, number] of numbers) {
      const error = number * (distances.get(colour) as number);
      if (error > worstError) [worst, worstError] = [colour, error];
    }
    // Every colour is there.
    if (worstError === 0) break;
    const index = palette.push(worst) - 1;
    for (const colour of numbers.keys()) {
      const distance = distanceOf(colour, worst);
      if (index > 0 && distance >= (distances.get(colour) as number)) continue;
      distances.set(colour, distance);
      indices.set(colour, index);
    }
  }
  return { palette, indices };
}

/** Squared, as red, green and blue. */
function distanceOf(a: number, b: number): number {
  const squares = [16, 8, 0].map((bits) => (((a >> bits) & 255) - ((b >> bits) & 255)) ** 2);
  return squares.reduce((sum, square) => sum + square);
}

function chunk(type: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(content.length, 0);
  framed.set(named, 4);
  framed.writeUInt32BE(crc32(named), named.length + 4);
  return framed;
}
