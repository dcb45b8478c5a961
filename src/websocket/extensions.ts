/** Parameters of an offer that we can accept (RFC 7692 §7.1). Our frames use a window of 32 KiB, so no smaller one. */
const ACCEPTABLE =
  /^(server_no_context_takeover|client_no_context_takeover|client_max_window_bits(=("?)([89]|1[0-5])\3)?|server_max_window_bits=("?)15\5)$/;

/**
 * The first offer of permessage-deflate in a `Sec-WebSocket-Extensions` field that we can accept. One that is not
 * acceptable is declined by going on without it (RFC 7692 §5.1), not by refusing the handshake.
 */
export function acceptableOffer(field: string | undefined): string | undefined {
  const offers = field?.split(',').map((offer) => offer.trim());
  return offers?.find((offer) => {
    const [name, ...parameters] = offer.split(';').map((part) => part.trim());
    const names = parameters.map((parameter) => parameter.split('=')[0]);
    return (
      name === 'permessage-deflate' &&
      parameters.every((parameter) => ACCEPTABLE.test(parameter)) &&
      new Set(names).size === names.length
    );
  });
}
