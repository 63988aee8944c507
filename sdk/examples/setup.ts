// What every example begins with: a node, a deployment's addresses, and who signs.
import { loadAddresses } from "@breakwater/sdk/addresses";
import { connect, openMarkets } from "@breakwater/sdk/chain";
import { JsonRpcProvider, Wallet } from "ethers";

const { RPC_URL = "http://127.0.0.1:8545", ADDRESSES, PRIVATE_KEY } = process.env;

export const provider = new JsonRpcProvider(RPC_URL);
const { chainId } = await provider.getNetwork();
const addresses = await loadAddresses(ADDRESSES ?? `deploy/addresses/${chainId}.json`);

/** Without a key the last account that the node itself signs for, as local chains do. */
export const signer = PRIVATE_KEY
  ? new Wallet(PRIVATE_KEY, provider)
  : (await provider.listAccounts()).at(-1)!;
export const contracts = connect(addresses, signer);

const read = await openMarkets(contracts, provider);
export const markets = await read("latest");
export const market = markets.find(({ addresses: { id } }) => id === "weth-usdc")!;
