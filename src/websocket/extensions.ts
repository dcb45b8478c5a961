/**
 * A parameter of an offer that we can accept (RFC 7692 §7.1). Our frames use a window of 32 KiB (15 bits), so a smaller
 * server window is not acceptable.
 */
const ACCEPTABLE_PARAMETER =
  /^(server_no_context_takeover|client_no_context_takeover|client_max_window_bits(=("?)([89]|1[0-5])\3)?|server_max_window_bits=("?)15\5)$/;

/**
 * Returns the first permessage-deflate offer of a `Sec-WebSocket-Extensions` field that we can accept. An offer that
 * is not acceptable is declined: the handshake continues without the extension (RFC 7692 §5.1).
 */
export function acceptableOffer(field: string | undefined): string | undefined {
  const offers = field?.split(',').map((offer) => offer.trim());
  return offers?.find((offer) => {
    const [name, ...parameters] = offer.split(';').map((part) => part.trim());
    const names = parameters.map((parameter) => parameter.split('=')[0]);
    return (
      name === 'permessage-deflate' &&
      parameters.every((parameter) => ACCEPTABLE_PARAMETER.test(parameter)) &&
      new Set(names).size === names.length
    );
  });
}
