/**
 * Oracle adapters over feeds that can be set, for tests: ETH in USDC, the primary feeds with 8 decimals, the second with 18.
 *
 *     const { deployTwoSources } = openOracles(connection);
 *     const { adapter, feeds, set } = await deployTwoSources();
 *     await set("collateral", 2_010);
 */
import { expect } from "chai";
import { concat, getBytes, toBeHex, ZeroAddress, type BaseContract, type TransactionResponse } from "ethers";
import type { NetworkConnection } from "hardhat/types/network";

import type {
  InverseOracleAdapter,
  IOracleAdapter,
  OracleAdapter,
  SettableFeed,
} from "../../sdk/src/types/index.ts";

export const Q128 = 1n << 128n;
export const HOUR = 3_600;
export const MAX_AGE = HOUR;
export const NONE = { feed: ZeroAddress, maxAge: 0n, minAnswer: 0n, maxAnswer: 0n };
export const FEEDS = ["collateral", "debt", "secondCollateral", "secondDebt"] as const;
type FeedName = (typeof FEEDS)[number];

export const usd = (dollars: number, decimals: bigint): bigint =>
  (BigInt(Math.round(dollars * 1e6)) * 10n ** decimals) / 10n ** 6n;
export const q128 = (price: number): bigint => (BigInt(Math.round(price * 1e6)) * Q128) / 10n ** 6n;

export async function expectPrice(
  adapter: IOracleAdapter | InverseOracleAdapter | OracleAdapter,
  state: bigint,
  low: bigint,
  high = low,
) {
  const price = await adapter.read();
  expect(price.state).to.equal(state);
  expect(price.low).to.equal(low);
  expect(price.high).to.equal(high);
  return price;
}

/** A contract that answers every call with `size` bytes: round, answer, 0, the time of the block, 0 … */
export function answering({
  round = 1n,
  answer,
  size,
}: {
  round?: bigint;
  answer: bigint;
  size: number;
}): string {
  return concat([
    concat(["0x7f", toBeHex(round, 32), "0x5f52"]), //         PUSH32 round   PUSH0      MSTORE
    concat(["0x7f", toBeHex(answer, 32), "0x602052"]), //      PUSH32 answer  PUSH1 0x20 MSTORE
    concat(["0x42606052", "0x62", toBeHex(size, 3), "0x5ff3"]), // TIMESTAMP PUSH1 0x60 MSTORE PUSH3 size PUSH0 RETURN
  ]);
}

/** A pool that answers observe() with these 8 words: two offsets, then each array's length and elements. */
export const observing = (words: readonly bigint[], end = "0x6101005ff3") =>
  // PUSH2 0x100 PUSH0 RETURN
  concat([
    ...words.map((word, i) => concat(["0x7f", toBeHex(word, 32), "0x61", toBeHex(32 * i, 2), "0x52"])),
    end,
  ]);
const signed = (value: bigint) => BigInt.asUintN(256, value);
/** Cumulative ticks that grew by `total` over the window. */
export const grown = (total: bigint) => [0x40n, 0xa0n, 2n, signed(7n), signed(7n + total), 2n, 0n, 0n];

/** A pool whose ticks grew by `now` over the newest window and by `before` over the one before. */
export const observingTwo = (now: bigint, before: bigint) =>
  concat([
    observing(grown(now), "0x"),
    "0x6064351561015557", // PUSH1 0x64 CALLDATALOAD ISZERO PUSH2 0x155 JUMPI: where the window ends, seconds ago
    concat(["0x7f", toBeHex(signed(7n + before), 32), "0x610080525b"]), // PUSH32 … PUSH2 0x80 MSTORE JUMPDEST
    "0x6101005ff3",
  ]);

export function openOracles({ ethers, networkHelpers }: NetworkConnection) {
  async function deployFeeds() {
    const feeds: Record<FeedName, SettableFeed> = {
      collateral: await ethers.deployContract("SettableFeed", [8, "ETH / USD"]),
      debt: await ethers.deployContract("SettableFeed", [8, "USDC / USD"]),
      secondCollateral: await ethers.deployContract("SettableFeed", [18, "ETH / USD"]),
      secondDebt: await ethers.deployContract("SettableFeed", [18, "USDC / USD"]),
    };
    const decimals: Record<FeedName, bigint> = {
      collateral: 8n,
      debt: 8n,
      secondCollateral: 18n,
      secondDebt: 18n,
    };
    const set = (name: FeedName, dollars: number) => feeds[name].set(usd(dollars, decimals[name]));
    const feedConfig = async (name: FeedName) => ({
      feed: await feeds[name].getAddress(),
      maxAge: BigInt(MAX_AGE),
      minAnswer: usd(0.5, decimals[name]),
      maxAnswer: usd(100_000, decimals[name]),
    });
    const config = {
      collateral: ZeroAddress,
      debt: ZeroAddress,
      collateralFeed: await feedConfig("collateral"),
      debtFeed: await feedConfig("debt"),
      secondCollateralFeed: await feedConfig("secondCollateral"),
      secondDebtFeed: await feedConfig("secondDebt"),
      pool: ZeroAddress,
      twapWindow: 0n,
      blockTime: 0n,
      band: 300n,
      jumpLimit: 1_000n,
      jumpWidening: 500n,
      jumpLimitMax: 4_000n,
      calmVolatility: 800n,
      stressVolatility: 2_500n,
      maxLtvCut: 1_000n,
      volatilityPeriod: 43_200n,
      vetoBudget: 21_600n,
      vetoRefill: 2_592_000n,
    };
    for (const name of FEEDS) await set(name, name.toLowerCase().includes("debt") ? 1 : 2_000);
    for (const name of ["debt", "secondDebt"] as const) await set(name, 1); // the round before is looked at after a jump
    return { feeds, decimals, set, config };
  }

  async function deployTwoSources() {
    const arrangement = await deployFeeds();
    const adapter = await ethers.deployContract("OracleAdapter", [arrangement.config]);
    await adapter.update(); // the price that a single source is compared with
    return { ...arrangement, adapter };
  }

  /** Gas of an execution, without what every transaction costs. */
  async function gasOf(sending: Promise<TransactionResponse>): Promise<bigint> {
    const transaction = await sending;
    const { gasUsed } = (await transaction.wait())!;
    const bytes = getBytes(transaction.data);
    return bytes.reduce((gas, byte) => gas - (byte === 0 ? 4n : 16n), gasUsed - 21_000n);
  }

  /** Gas of read() with everything cold, as in the first call of a transaction. */
  async function gasOfRead(adapter: OracleAdapter): Promise<bigint> {
    const [signer] = await ethers.getSigners();
    const transaction = {
      to: await adapter.getAddress(),
      data: adapter.interface.encodeFunctionData("read"),
    };
    return gasOf(signer!.sendTransaction(transaction));
  }

  const setCode = async (contract: BaseContract, code: string) =>
    networkHelpers.setCode(await contract.getAddress(), code);

  return { deployFeeds, deployTwoSources, gasOf, gasOfRead, setCode };
}
