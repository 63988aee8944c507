import {
  JsonRpcApiProvider,
  type JsonRpcPayload,
  type JsonRpcResult,
  Network,
  type JsonRpcError,
} from "ethers";

import type { OnEvent } from "../events.ts";

// Several JSON-RPC endpoints as one ethers provider.

export interface EndpointOptions {
  /** In the order of trust. */
  urls: readonly string[];
  /** New heads as a hint; polling stays the truth. */
  webSocket?: string | undefined;
  chainId: number;
  timeoutMs: number;
  onEvent: OnEvent;
}

export class Endpoints extends JsonRpcApiProvider {
  constructor({ chainId }: EndpointOptions) {
    super(Network.from(chainId), { staticNetwork: true });
  }

  override _send(_payload: JsonRpcPayload | JsonRpcPayload[]): Promise<(JsonRpcResult | JsonRpcError)[]> {
    throw new Error("to come");
  }
}
