// A copy of a running chain, in process: forked at its newest block, so that nothing done here reaches it. Its clock can
// be stopped, so that amounts before and after can be compared to the unit.
import { explainRevert } from "@breakwater/sdk/chain";
import { AbiCoder, JsonRpcProvider, keccak256, toBeHex, zeroPadValue } from "ethers";
import { network } from "hardhat";

/** The cap of one transaction (EIP-7825). */
const MAX_TRANSACTION_GAS = 2n ** 24n;
/** Where ERC-20s keep their balances: the mapping's slot is one of the first, or OpenZeppelin's namespaced one. */
const BALANCE_SLOTS = [
  ...Array.from({ length: 12 }, (_, slot) => BigInt(slot)),
  0x52c63247e1f47db19d5ce0460030c497f067ca4cebf71ba98eeadabe20bace00n,
];

export type Copy = Awaited<ReturnType<typeof copyOf>>;

/** A failure that is the chain's answer and not a bug of ours, in words. */
export type Outcome = { ok: true } | { ok: false; words: string };

export async function copyOf(rpc: string) {
  const source = new JsonRpcProvider(rpc);
  // Left to itself, the fork would begin a safe distance of 128 blocks behind.
  const forked = await source.getBlock("latest");
  source.destroy();
  if (!forked) throw new Error(`${rpc} has no block`);
  const connection = await network.create({
    network: "default",
    override: {
      forking: { enabled: true, url: rpc, blockNumber: forked.number },
      allowBlocksWithSameTimestamp: true,
      blockGasLimit: 1_000_000_000n,
    },
  });
  const { ethers, provider } = connection;
  const request = async (method: string, ...params: unknown[]): Promise<unknown> =>
    provider.request({ method, params });
  // Calls need a block of the copy's own: of the original's the node does not know the hardfork.
  await request("evm_setNextBlockTimestamp", forked.timestamp);
  await request("evm_mine");
  let time = 0;
  const balanceSlots = new Map<string, bigint>();
  /** One transaction in a block of its own, at the time of the copy; throws what the chain answers. */
  const send = async (from: string, to: string, data: string): Promise<void> => {
    await request("hardhat_impersonateAccount", from);
    await request("hardhat_setNextBlockBaseFeePerGas", "0x0");
    await request("evm_setNextBlockTimestamp", time);
    await request("eth_sendTransaction", {
      from,
      to,
      data,
      gas: toBeHex(MAX_TRANSACTION_GAS),
      maxFeePerGas: "0x0",
      maxPriorityFeePerGas: "0x0",
    });
  };

  return {
    connection,
    ethers,
    block: forked.number,
    send,

    /** Stops the clock: whatever is sent from here on happens at this time, which is returned. */
    async freeze(): Promise<number> {
      await request("evm_mine");
      const newest = await ethers.provider.getBlock("latest");
      time = newest!.timestamp;
      return time;
    },

    /** The same, when a revert is a result. */
    async attempt(from: string, to: string, data: string): Promise<Outcome> {
      try {
        await send(from, to, data);
        return { ok: true };
      } catch (error) {
        return { ok: false, words: explainRevert(error).words };
      }
    },

    /** Does something and takes it back. */
    async tentatively<T>(action: () => Promise<T>): Promise<T> {
      const snapshot = await request("evm_snapshot");
      try {
        return await action();
      } finally {
        await request("evm_revert", snapshot);
      }
    },

    async write(address: string, slot: bigint, value: bigint): Promise<void> {
      await request("hardhat_setStorageAt", address, toBeHex(slot), toBeHex(value, 32));
    },

    async setCode(address: string, code: string): Promise<void> {
      await request("hardhat_setCode", address, code);
    },

    /** Gives `account` a balance, whoever issues the token. */
    async give(token: string, account: string, amount: bigint): Promise<void> {
      const erc20 = await ethers.getContractAt("TestToken", token);
      const slotOf = (base: bigint) =>
        BigInt(keccak256(AbiCoder.defaultAbiCoder().encode(["address", "uint256"], [account, base])));
      const set = async (slot: bigint, value: string) =>
        request("hardhat_setStorageAt", token, toBeHex(slot), zeroPadValue(value, 32));
      const found = balanceSlots.get(token);
      for (const base of found === undefined ? BALANCE_SLOTS : [found]) {
        const slot = slotOf(base);
        const former = await ethers.provider.getStorage(token, slot);
        await set(slot, toBeHex(amount));
        if ((await erc20.balanceOf(account)) === amount) {
          balanceSlots.set(token, base);
          return;
        }
        await set(slot, former);
      }
      throw new Error(`no way found to give anybody a balance of the token ${token}`);
    },

    close: async () => connection.close(),
  };
}
