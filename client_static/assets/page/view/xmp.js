// @ts-check

const BEGIN = "<?xpacket begin";
const END = "<?xpacket end";
/** What precedes the packet in a chunk of a PNG: its name, "not compressed", and no language (XMP specification part 3). */
const CHUNK = "iTXtXML:com.adobe.xmp\0\0\0\0\0";
/** The bytes of a PNG up to the end of its first chunk. */
const HEAD = 33;

/**
 * Return the XMP packet of an image, which says that a model made it; null if it has none.
 * @param {Blob} image a PNG, JPEG or WebP, in all of which it stands as plain text
 */
export async function xmpOf(image) {
  const text = await image.text();
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf("?>", text.indexOf(END, begin));
  return begin < 0 || end < 0 ? null : text.slice(begin, end + 2);
}

/**
 * Return a PNG with an XMP packet.
 * @param {Blob} png
 * @param {string} xmp
 */
export async function insertXmp(png, xmp) {
  const chunk = new TextEncoder().encode(CHUNK + xmp);
  const [length, sum] = [word(chunk.length - 4), word(crc32(chunk))];
  return new Blob([png.slice(0, HEAD), length, chunk, sum, png.slice(HEAD)], { type: png.type });
}

/** @param {number} value */
function word(value) {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setUint32(0, value);
  return bytes;
}

/** Return the checksum of a chunk (PNG specification, annex D). @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
