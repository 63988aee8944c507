// The WETH/USDC market as the drill reads and drives it, through the interfaces that anybody has.
import {
  BORROW_INDEX_ONE,
  bookPriceDown,
  bookPriceUp,
  saleTerms,
  type SaleRisk,
  type Units,
} from "@breakwater/sdk/core";
import {
  FlashLiquidator__factory,
  InsuranceFund__factory,
  IOracleAdapter__factory,
  Lens__factory,
  Liquidator__factory,
  SettableFeed__factory,
  SwapRouter__factory,
  TestToken__factory,
  UniswapV3Pool__factory,
  Vault__factory,
} from "@breakwater/sdk/types";
import { AbiCoder, keccak256, MaxUint256, solidityPacked, toBeHex } from "ethers";

import { sqrtPriceX96 } from "../../deploy/liquidity.ts";
import type { TickViewStructOutput } from "../../sdk/src/types/Lens.ts";
import type { LiquidationReportStructOutput, PotReportStructOutput } from "../../sdk/src/types/IVault.ts";
import type { PlannedPosition } from "./book.ts";
import type { Chain, Receipt } from "./chain.ts";
import { PRICE_DECIMALS } from "./path.ts";

/** Addresses of the deployment. */
export interface Scene {
  vault: string;
  oracle: string;
  liquidator: string;
  flashLiquidator: string;
  lens: string;
  insurance: string;
  feed: string; //     ETH/USD
  usdcFeed: string; // USDC/USD
  weth: string;
  usdc: string;
  pool: string;
  poolFee: number;
  router: string;
  units: Units;
  risk: SaleRisk;
  /** Whoever is not the protocol: unlocked accounts of the chain. */
  accounts: {
    admin: string;
    lender: string;
    borrower: string;
    arbitrageur: string;
    flash: string; //  a keeper without capital
    keeper: string; // a keeper with as much as it takes, who sells elsewhere
  };
}

export interface OraclePrice {
  low: bigint;
  high: bigint;
}

/** One liquidation as its event tells it; token units unless said otherwise. */
export interface Report {
  price: OraclePrice;
  ticks: number;
  repaid: bigint;
  seized: bigint;
  potDebt: bigint; //           debt units
  potDebtSold: bigint; //       debt units
  potCollateralSold: bigint; // collateral units
  insurancePaid: bigint;
  reservesPaid: bigint;
  lendersLoss: bigint;
}

export interface Order {
  maxRepay: bigint;
  maxTicks: number;
  buyPot: boolean;
}

const FRESH = 3n;
/** fromTick of an order that skips nothing. */
const FROM_TOP = 2n ** 23n - 1n;

const vaultInterface = Vault__factory.createInterface();
const liquidatorInterface = Liquidator__factory.createInterface();
const flashInterface = FlashLiquidator__factory.createInterface();
const feedInterface = SettableFeed__factory.createInterface();
const tokenInterface = TestToken__factory.createInterface();
const routerInterface = SwapRouter__factory.createInterface();
const poolInterface = UniswapV3Pool__factory.createInterface();
const oracleInterface = IOracleAdapter__factory.createInterface();
const lensInterface = Lens__factory.createInterface();
const insuranceInterface = InsuranceFund__factory.createInterface();

/** Where Market.State keeps what the drill looks up itself (see contracts/libraries/Market.sol and TickBook.sol). */
const [LEDGER, BOOK, BITMAP] = [0n, 5n, 8n];
const BITS_104 = 2n ** 104n - 1n;
const BITS_128 = 2n ** 128n - 1n;

/** Nodes bound the gas of a call. */
const TICKS_PER_CALL = 100;
const ADJUST_GAS = 400_000n;
const SMALL_GAS = 300_000n;
/** A swap may cross many initialised ticks, an arbitrage after a crash all of them. */
const SWAP_GAS = 2_000_000n;
/** A round of both feeds and an arbitrage must fit into one block. */
export const MIN_BLOCK_GAS = 2n * SMALL_GAS + SWAP_GAS;

export class DrillMarket {
  constructor(
    private readonly chain: Chain,
    readonly scene: Scene,
  ) {}

  // ------------------------------------------------------------------ before the path

  /** Funds everybody and lends. Blocks follow each other by a second. */
  async fund(deposit: bigint, insurance: bigint): Promise<void> {
    const { accounts, usdc, weth, vault, router, liquidator } = this.scene;
    const { lender, borrower, arbitrageur, keeper } = accounts;
    const plenty = 2n ** 120n;
    const approve = (token: string, from: string, spender: string) =>
      this.chain.send(
        from,
        token,
        tokenInterface.encodeFunctionData("approve", [spender, MaxUint256]),
        SMALL_GAS,
      );
    const mint = (token: string, to: string) =>
      this.chain.send(
        accounts.admin,
        token,
        tokenInterface.encodeFunctionData("mint", [to, plenty]),
        SMALL_GAS,
      );
    await this.next(
      await mint(usdc, lender),
      await mint(weth, borrower),
      await mint(usdc, arbitrageur),
      await mint(weth, arbitrageur),
      await mint(usdc, keeper),
    );
    await this.next(
      await approve(usdc, lender, vault),
      await approve(usdc, lender, this.scene.insurance),
      await approve(weth, borrower, vault),
      await approve(usdc, arbitrageur, router),
      await approve(weth, arbitrageur, router),
      await approve(usdc, keeper, liquidator),
    );
    const lend = vaultInterface.encodeFunctionData("deposit", [deposit, lender]);
    const insure = insuranceInterface.encodeFunctionData("deposit", [vault, insurance]);
    await this.next(
      await this.chain.send(lender, vault, lend, SMALL_GAS * 2n),
      await this.chain.send(lender, this.scene.insurance, insure, SMALL_GAS),
    );
  }

  /** Opens the positions as sub-accounts of one borrower, many to a block; tells each block's time. */
  async open(
    positions: PlannedPosition[],
    blockGas: bigint,
    onBlock: (opened: { sub: number; time: number }[]) => void,
  ): Promise<void> {
    const { vault, accounts } = this.scene;
    const perBlock = Math.max(1, Math.min(Number(blockGas / ADJUST_GAS), 100));
    for (let first = 0; first < positions.length; first += perBlock) {
      const batch = positions.slice(first, first + perBlock);
      const hashes: string[] = [];
      for (const [i, { collateral, debt }] of batch.entries()) {
        const { borrower } = accounts;
        const args = [borrower, first + i, collateral, debt, borrower, "0x"] as const;
        const data = vaultInterface.encodeFunctionData("adjust", [...args]);
        hashes.push(await this.chain.send(borrower, vault, data, ADJUST_GAS));
      }
      await this.next(...hashes);
      onBlock(batch.map((_, i) => ({ sub: first + i, time: this.chain.time })));
    }
  }

  private async next(...hashes: string[]): Promise<Receipt[]> {
    return this.chain.mine(this.chain.time + 1, ...hashes);
  }

  // ------------------------------------------------------------------ prices

  /** A round of the feeds, and the arbitrageur who brings the pool to it with inventory from outside; one block. */
  async round(price: bigint, time: number): Promise<void> {
    const hashes = [...(await this.sendRound(price)), ...(await this.sendArbitrage(price))];
    await this.chain.mine(time, ...hashes);
  }

  /** The same price again, and the interest up to now, so that what is read next is as new as the block. */
  async refresh(price: bigint, time: number): Promise<void> {
    const { vault, accounts } = this.scene;
    const accrue = vaultInterface.encodeFunctionData("accrueInterest");
    const hashes = await this.sendRound(price);
    await this.chain.mine(time, ...hashes, await this.chain.send(accounts.admin, vault, accrue, SMALL_GAS));
  }

  private async sendRound(price: bigint): Promise<string[]> {
    const { feed, usdcFeed, accounts } = this.scene;
    const set = (answer: bigint) => feedInterface.encodeFunctionData("set", [answer]);
    return [
      await this.chain.send(accounts.admin, feed, set(price), SMALL_GAS),
      await this.chain.send(accounts.admin, usdcFeed, set(10n ** BigInt(PRICE_DECIMALS)), SMALL_GAS),
    ];
  }

  /** The arbitrageur alone, after a keeper has sold to the pool; one block. */
  async arbitrage(price: bigint, time: number): Promise<void> {
    await this.chain.mine(time, ...(await this.sendArbitrage(price)));
  }

  /** Swaps up to the feed's price exactly: the limit stops the swap there. */
  private async sendArbitrage(price: bigint): Promise<string[]> {
    const { weth, usdc, pool, poolFee, router, accounts } = this.scene;
    const wethIs0 = BigInt(weth) < BigInt(usdc);
    // 10^18 wei are worth `price` × 10^-8 dollars, so price × 10^-2 of USDC's units.
    const [amountWeth, amountUsdc] = [10n ** BigInt(18 + PRICE_DECIMALS - 6), price];
    const target = wethIs0 ? sqrtPriceX96(amountWeth, amountUsdc) : sqrtPriceX96(amountUsdc, amountWeth);
    const [now] = poolInterface.decodeFunctionResult(
      "slot0",
      await this.view(pool, poolInterface.encodeFunctionData("slot0")),
    );
    if (now === target) return [];
    const [token0, token1] = wethIs0 ? [weth, usdc] : [usdc, weth];
    const [tokenIn, tokenOut] = target < (now as bigint) ? [token0, token1] : [token1, token0];
    const swap = routerInterface.encodeFunctionData("exactInputSingle", [
      {
        tokenIn,
        tokenOut,
        fee: poolFee,
        recipient: accounts.arbitrageur,
        deadline: MaxUint256,
        amountIn: 2n ** 100n, // the limit stops it
        amountOutMinimum: 0,
        sqrtPriceLimitX96: target,
      },
    ]);
    return [await this.chain.send(accounts.arbitrageur, router, swap, SWAP_GAS)];
  }

  // ------------------------------------------------------------------ reading

  /** The oracle's price now; it must be Fresh, since every step waits until both sources agree. */
  async price(): Promise<OraclePrice> {
    const data = await this.view(this.scene.oracle, oracleInterface.encodeFunctionData("read"));
    const [price] = oracleInterface.decodeFunctionResult("read", data) as unknown as [
      OraclePrice & { state: bigint },
    ];
    if (price.state !== FRESH)
      throw new Error(`the oracle is in state ${price.state}, not Fresh, at ${this.chain.time}`);
    return { low: price.low, high: price.high };
  }

  /** Populated ticks at or above the trigger at `high`, read from the book's bitmap; and the pot's debt, debt units. */
  async liquidatable(price: OraclePrice): Promise<{ ticks: number[]; potDebt: bigint }> {
    const { units, risk } = this.scene;
    const index = (await this.slot(LEDGER)) & BITS_104; // interest has been charged in the newest block
    const [high, low] = [bookPriceUp(price.high, index, units), bookPriceDown(price.low, index, units)];
    const { triggerTick } = saleTerms(high, low, risk, units.spacing);
    const header = await this.slot(BOOK);
    const top = Number(BigInt.asIntN(24, header >> 32n));
    const ticks: number[] = [];
    for (let word = top >> 8; word >= triggerTick >> 8; word--) {
      const bits = await this.slot(mappingSlot(BigInt(word), BITMAP));
      for (let bit = 255; bit >= 0; bit--) {
        const tick = word * 256 + bit;
        if (tick <= top && tick >= triggerTick && (bits >> BigInt(bit)) & 1n) ticks.push(tick);
      }
    }
    return { ticks, potDebt: (header >> 88n) & BITS_128 };
  }

  /** The `count` riskiest ticks, of which there are so many, as the Lens shows them. */
  async riskiest(count: number): Promise<TickViewStructOutput[]> {
    const { lens, vault } = this.scene;
    const views: TickViewStructOutput[] = [];
    while (views.length < count) {
      const from = views.length === 0 ? FROM_TOP : views.at(-1)!.tick - 1n;
      const page = Math.min(count - views.length, TICKS_PER_CALL);
      const data = lensInterface.encodeFunctionData("ticks", [vault, from, page]);
      const [ticks] = lensInterface.decodeFunctionResult("ticks", await this.view(lens, data));
      views.push(...(ticks as TickViewStructOutput[]));
    }
    return views;
  }

  /** Debt of all positions, token units rounded down, with the interest charged so far. */
  async debt(): Promise<bigint> {
    const index = (await this.slot(LEDGER)) & BITS_104;
    const book = (await this.slot(LEDGER + 1n)) & BITS_104;
    return (book * index) / BORROW_INDEX_ONE / 10n ** 12n;
  }

  /** When interest was charged last; at first, when the market was opened. */
  async accruedAt(): Promise<number> {
    return Number(((await this.slot(LEDGER + 1n)) >> 216n) & 0xffffffffn);
  }

  private async slot(slot: bigint): Promise<bigint> {
    return BigInt(
      await this.view(this.scene.vault, vaultInterface.encodeFunctionData("readSlot", [toBeHex(slot, 32)])),
    );
  }

  private async view(to: string, data: string): Promise<string> {
    const result = await this.chain.call(this.scene.accounts.admin, to, data);
    if (result === undefined) throw new Error(`a view of ${to} reverted: ${data.slice(0, 10)}`);
    return result;
  }

  // ------------------------------------------------------------------ keepers

  /** What a keeper without capital would earn with at most `maxRepay`, if anything; USDC. */
  async quoteFlash(order: Order): Promise<{ repaid: bigint; profit: bigint } | undefined> {
    const { accounts, flashLiquidator } = this.scene;
    const result = await this.chain.call(accounts.flash, flashLiquidator, this.flashData(order));
    if (result === undefined) return undefined;
    const [repaid, , profit] = flashInterface.decodeFunctionResult(
      "liquidate",
      result,
    ) as unknown as bigint[];
    return { repaid: repaid!, profit: profit! };
  }

  /** A liquidation without capital, through the pool; one block. */
  async flashLiquidate(order: Order, gas: bigint, time: number): Promise<{ gas: bigint; report: Report }> {
    const { accounts, flashLiquidator } = this.scene;
    return this.mineLiquidation(
      await this.chain.send(accounts.flash, flashLiquidator, this.flashData(order), gas),
      time,
    );
  }

  /** What a liquidation by the keeper with capital would repay now; USDC. */
  async quote(order: Order): Promise<bigint> {
    const { accounts, liquidator } = this.scene;
    const result = await this.chain.call(accounts.keeper, liquidator, this.orderData(order));
    if (result === undefined) return 0n;
    return liquidatorInterface.decodeFunctionResult("liquidate", result)[0] as bigint;
  }

  /** A liquidation by the keeper with capital; one block. */
  async liquidate(order: Order, gas: bigint, time: number): Promise<{ gas: bigint; report: Report }> {
    const { accounts, liquidator } = this.scene;
    return this.mineLiquidation(
      await this.chain.send(accounts.keeper, liquidator, this.orderData(order), gas),
      time,
    );
  }

  private orderData(order: Order): string {
    const { vault: market, accounts } = this.scene;
    const rest = { minCollateral: 0, fromTick: FROM_TOP, deadline: MaxUint256, receiver: accounts.keeper };
    return liquidatorInterface.encodeFunctionData("liquidate", [{ market, ...rest, ...order }, "0x"]);
  }

  private flashData(order: Order): string {
    const { vault, weth, usdc, poolFee, accounts } = this.scene;
    return flashInterface.encodeFunctionData("liquidate", [
      {
        market: vault,
        fromTick: FROM_TOP,
        path: solidityPacked(["address", "uint24", "address"], [weth, poolFee, usdc]),
        minOut: 0,
        minProfit: 1,
        deadline: MaxUint256,
        receiver: accounts.flash,
        ...order,
      },
    ]);
  }

  private async mineLiquidation(hash: string, time: number): Promise<{ gas: bigint; report: Report }> {
    const [receipt] = await this.chain.mine(time, hash);
    const { gasUsed: gas, logs } = receipt!;
    const reports = new Map<string, unknown>();
    for (const log of logs) {
      if (log.address.toLowerCase() !== this.scene.vault.toLowerCase()) continue;
      const parsed = vaultInterface.parseLog(log);
      if (parsed?.name === "Liquidate" || parsed?.name === "ChangePot") {
        reports.set(parsed.name, parsed.args.getValue("report"));
      }
    }
    const sweep = reports.get("Liquidate") as LiquidationReportStructOutput | undefined;
    if (sweep === undefined) throw new Error(`transaction ${hash} liquidated nothing`);
    return { gas, report: reportOf(sweep, reports.get("ChangePot") as PotReportStructOutput | undefined) };
  }
}

function reportOf(sweep: LiquidationReportStructOutput, pot?: PotReportStructOutput): Report {
  return {
    price: { low: sweep.priceLow, high: sweep.priceHigh },
    ticks: Number(sweep.ticks),
    repaid: sweep.repaid,
    seized: sweep.seized,
    potDebt: pot?.potDebt ?? 0n,
    potDebtSold: pot?.potDebtSold ?? 0n,
    potCollateralSold: pot?.potCollateralSold ?? 0n,
    insurancePaid: pot?.insurancePaid ?? 0n,
    reservesPaid: pot?.reservesPaid ?? 0n,
    lendersLoss: pot?.lendersLoss ?? 0n,
  };
}

function mappingSlot(key: bigint, slot: bigint): bigint {
  return BigInt(keccak256(AbiCoder.defaultAbiCoder().encode(["int256", "uint256"], [key, slot])));
}
