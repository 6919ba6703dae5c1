/**
 * The binary codec for the client: `connect({ url, codec: protoCodec })`. Smaller on the wire, more to download.
 *
 * @module
 */
export { protoCodec } from '../protocol/proto.ts';
