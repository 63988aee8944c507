// An upgrade rehearsed on a copy of the running chain: with the new implementation every live position must be priced as
// before, repaid, closed and liquidated, and every balance kept. Each failure names its position.
import { entry } from "../../deploy/parameters.ts";
import { deployImplementation } from "../../deploy/implementation.ts";
import {
  Lens__factory,
  Liquidator__factory,
  ProxyAdmin__factory,
  TestToken__factory,
  Upgrader__factory,
  Vault__factory,
} from "@breakwater/sdk/types";
import { type Addresses, contractAddress, type MarketAddresses } from "@breakwater/sdk/addresses";
import { explainRevert } from "@breakwater/sdk/chain";
import { artifacts } from "hardhat";
import { isAddress, keccak256, MaxUint256, toUtf8Bytes } from "ethers";

import type { PositionViewStructOutput } from "../../sdk/src/types/Lens.ts";
import { type Copy, copyOf, type Outcome } from "./copy.ts";

export interface Options {
  rpc: string;
  addresses: Addresses;
  /** A contract of the build, or what is deployed on the chain already. */
  implementation: string;
  /** Calls the implementation when it is set. */
  data?: string;
  /** Ids; by default all. */
  markets?: string[];
  /** Names a step when it begins. */
  onStep?: (words: string) => void;
}

export const CHECKS = [
  "kept",
  "priced",
  "brake",
  "repaid",
  "closed",
  "liquidated",
  "crash",
  "lenders",
  "restored",
] as const;
export type Check = (typeof CHECKS)[number];

export interface Failure {
  market: string;
  check: Check;
  /** Whose position, if it is about one. */
  owner?: string;
  sub?: string;
  words: string;
}

export interface MarketReport {
  market: string;
  implementation: string;
  positions: number;
  ticks: number;
  lenders: number;
  failures: Failure[];
}

export interface Report {
  block: number;
  seconds: number;
  markets: MarketReport[];
}

interface Position {
  owner: string;
  sub: bigint;
  view: PositionViewStructOutput;
}

/** The accounts that act on the copy; nobody has their keys. */
const PAYER = "0x000000000000000000000000000000000000bEEF";
const RECEIVER = "0x000000000000000000000000000000000000dEaD";
const ALL = -(2n ** 255n);
const PLENTY = 2n ** 111n;
const POSITIONS_PER_CALL = 100;
const BLOCKS_PER_QUERY = 20_000;
const TICKS_PER_SWEEP = 200;
/** Of Market.State; its highest byte is `capped`. */
const LIQUIDATIONS_SLOT = 4n;
const PINNED = BigInt(keccak256(toUtf8Bytes("breakwater.PinnedPrice")));

/** What a market is, and what must not change when only its code does. */
const IDENTITY = [
  "COLLATERAL",
  "asset",
  "SPACING",
  "LIQUIDATOR",
  "BRAKE",
  "INSURANCE",
  "decimals",
  "authority",
  "totalSupply",
  "scales",
] as const;
/** Of the Lens' view of a market: all that is not derived from a formula of the implementation. */
const BALANCES = [
  "borrowIndex",
  "reserveFactor",
  "bookDebt",
  "totalDebt",
  "cash",
  "reserves",
  "potDebt",
  "potCollateral",
  "insurance",
  "totalAssets",
  "sharePrice",
  "oracle",
  "risk",
  "caps",
  "topTick",
  "noNewRiskUntil",
  "liquidationsPausedUntil",
  "graceUntil",
] as const;

export async function rehearse(options: Options): Promise<Report> {
  const started = Date.now();
  const copy = await copyOf(options.rpc);
  try {
    const { markets } = options.addresses;
    const chosen = options.markets ?? markets.map(({ id }) => id);
    const byId = Object.fromEntries(markets.map((market) => [market.id, market]));
    const reports: MarketReport[] = [];
    for (const id of chosen) reports.push(await rehearseMarket(copy, options, entry(byId, id)));
    return { block: copy.block, seconds: (Date.now() - started) / 1000, markets: reports };
  } finally {
    await copy.close();
  }
}

async function rehearseMarket(copy: Copy, options: Options, market: MarketAddresses): Promise<MarketReport> {
  const { addresses, onStep = () => {} } = options;
  const { ethers } = copy;
  const reader = ethers.provider;
  const vault = Vault__factory.connect(market.vault, reader);
  const lens = Lens__factory.connect(contractAddress(addresses, "Lens"), reader);
  const upgrader = Upgrader__factory.connect(contractAddress(addresses, "Upgrader"), reader);
  const liquidator = contractAddress(addresses, "Liquidator");
  const [collateral, debt] = [
    TestToken__factory.connect(market.collateral, reader),
    TestToken__factory.connect(market.debt, reader),
  ];
  let pinned = ""; // the oracle, once its price is ours
  const held = {
    debt: await debt.balanceOf(market.vault),
    collateral: await collateral.balanceOf(market.vault),
  };
  const failures: Failure[] = [];
  const fail = (check: Check, words: string, position?: Position) =>
    failures.push({
      market: market.id,
      check,
      ...(position && { owner: position.owner, sub: String(position.sub) }),
      words,
    });
  const adjust = (owner: string, sub: bigint, collateralDelta: bigint, debtDelta: bigint, receiver: string) =>
    vault.interface.encodeFunctionData("adjust", [owner, sub, collateralDelta, debtDelta, receiver, "0x"]);

  const implementation = isAddress(options.implementation)
    ? options.implementation
    : await deployImplementation(ethers, options.implementation, vault);
  const time = await copy.freeze();
  const keys = await keysOf();
  const positions = (await viewsOf(keys)).filter(({ view }) => view.node !== 0n || view.surplus !== 0n);
  const lenders = await lendersOf();
  const tolerance = BigInt(positions.length) + 2n;
  onStep(`${market.id}: ${positions.length} positions, ${lenders.length} lenders`);

  // ---------------------------------------------------------------- before, the upgrade, after

  const before = await reading();
  const former = (await upgrader.stateOf(vault)).implementation;
  const upgraded = await upgradeTo(implementation, options.data ?? "0x");
  if (upgraded.ok) await compare("kept", "priced");
  else fail("kept", `the upgrade itself fails: ${upgraded.words}`);

  if (upgraded.ok) {
    await copy.tentatively(async () => {
      const back = await upgradeTo(former, "0x");
      if (back.ok) await compare("restored", "restored");
      else fail("restored", back.words);
    });
    const price = await prepare();
    if (price) {
      onStep(`${market.id}: repay and close`);
      await copy.tentatively(closeAll).catch((error: unknown) => fail("closed", messageOf(error)));
      const ticks = ticksOf();
      onStep(`${market.id}: liquidate ${ticks.size} ticks`);
      for (const members of ticks.values()) {
        const failAll = (words: string) => members.forEach((position) => fail("liquidated", words, position));
        await copy
          .tentatively(async () => liquidate(members, failAll))
          .catch((error: unknown) => failAll(messageOf(error)));
      }
      await copy
        .tentatively(async () => crash(price))
        .catch((error: unknown) => fail("crash", messageOf(error)));
    }
  }
  return {
    market: market.id,
    implementation,
    positions: positions.length,
    ticks: ticksOf().size,
    lenders: lenders.length,
    failures,
  };

  // ---------------------------------------------------------------- who is there

  /** Whoever ever had a position. */
  async function keysOf(): Promise<Pick<Position, "owner" | "sub">[]> {
    const found = new Map<string, Pick<Position, "owner" | "sub">>();
    const add = (owner: string, sub: bigint) => found.set(`${owner} ${sub}`, { owner, sub });
    for (const [from, to] of ranges()) {
      for (const { args } of await vault.queryFilter(vault.filters.Adjust(), from, to))
        add(args.owner, args.sub);
      for (const { args } of await vault.queryFilter(vault.filters.TransferPosition(), from, to)) {
        add(args.to, args.toSub);
      }
    }
    return [...found.values()];
  }

  async function lendersOf(): Promise<{ owner: string; shares: bigint }[]> {
    const owners = new Set<string>();
    for (const [from, to] of ranges()) {
      for (const { args } of await vault.queryFilter(vault.filters.Transfer(), from, to)) owners.add(args.to);
    }
    const found = [];
    for (const owner of owners) {
      const shares = await vault.balanceOf(owner);
      if (shares !== 0n) found.push({ owner, shares });
    }
    return found;
  }

  function* ranges(): Generator<[number, number]> {
    for (let from = addresses.startBlock; from <= copy.block; from += BLOCKS_PER_QUERY) {
      yield [from, Math.min(from + BLOCKS_PER_QUERY - 1, copy.block)];
    }
  }

  async function viewsOf(of: Pick<Position, "owner" | "sub">[]): Promise<Position[]> {
    const views: Position[] = [];
    for (let at = 0; at < of.length; at += POSITIONS_PER_CALL) {
      const batch = of.slice(at, at + POSITIONS_PER_CALL);
      const answers = await lens.positions(
        market.vault,
        batch.map(({ owner }) => owner),
        batch.map(({ sub }) => sub),
      );
      views.push(...batch.map(({ owner, sub }, i) => ({ owner, sub, view: answers[i]! })));
    }
    return views;
  }

  /** Live positions with debt, by tick: a tick is liquidated as one. */
  function ticksOf(): Map<bigint, Position[]> {
    const ticks = new Map<bigint, Position[]>();
    for (const position of positions) {
      const { debt: owed, tick } = position.view;
      if (owed !== 0n) ticks.set(tick, [...(ticks.get(tick) ?? []), position]);
    }
    return ticks;
  }

  // ---------------------------------------------------------------- the upgrade

  /** As the Upgrader would do it, without its delay. */
  async function upgradeTo(to: string, data: string): Promise<Outcome> {
    const admin = ProxyAdmin__factory.createInterface();
    const call = admin.encodeFunctionData("upgradeAndCall", [market.vault, to, data]);
    return copy.attempt(await upgrader.getAddress(), await upgrader.adminOf(market.vault), call);
  }

  async function reading() {
    const identity: Record<string, string> = {};
    for (const name of IDENTITY) identity[name] = text(await vault.getFunction(name).staticCall());
    const view = await lens.market(market.vault);
    for (const name of BALANCES) identity[name] = text(view[name]);
    identity["collateral token"] = text(await collateral.balanceOf(market.vault));
    identity["debt token"] = text(await debt.balanceOf(market.vault));
    for (const { owner } of lenders) identity[`shares of ${owner}`] = text(await vault.balanceOf(owner));
    return identity;
  }

  /** Everything as it was before the upgrade, to the unit: the clock stands still. */
  async function compare(kept: Check, priced: Check): Promise<void> {
    let now: Awaited<ReturnType<typeof reading>>;
    let views: Position[];
    try {
      now = await reading();
      views = await viewsOf(positions);
    } catch (error) {
      fail(kept, `it cannot be read any more: ${messageOf(error)}`);
      return;
    }
    for (const [name, value] of Object.entries(before)) {
      if (now[name] !== value) fail(kept, `${name} was ${value} and is ${now[name] ?? "missing"}`);
    }
    for (const [at, position] of positions.entries()) {
      const difference = differenceOf(position.view, views[at]!.view);
      if (difference) fail(priced, difference, position);
    }
  }

  // ---------------------------------------------------------------- what positions must be able to do

  /** Ends a pause, takes the cascade brake off, pins the oracle's price and funds the payer; the price, if there is one. */
  async function prepare(): Promise<bigint | undefined> {
    const brake = await vault.BRAKE();
    const setBrake = (until: number) => vault.interface.encodeFunctionData("setBrake", [until, until, until]);
    const freed = await copy.attempt(brake, market.vault, setBrake(0));
    if (!freed.ok) {
      fail("brake", `it does not take what the brake says: ${freed.words}`);
      return undefined;
    }
    const { price, oracle, cascadeCap } = await lens.market(market.vault);
    if (cascadeCap !== 0n) {
      // It would let some ticks wait: that is not what is rehearsed here.
      const word = BigInt(await reader.getStorage(market.vault, LIQUIDATIONS_SLOT));
      await copy.write(market.vault, LIQUIDATIONS_SLOT, word & (2n ** 248n - 1n));
    }
    if (price.high === 0n) {
      fail("liquidated", "the chain knows no price now (Dead): nothing can be liquidated");
      return undefined;
    }
    // The adapter's code moves to the next address, which PinnedPrice asks.
    const aside = `0x${(BigInt(oracle) ^ 1n).toString(16).padStart(40, "0")}`;
    await copy.setCode(aside, await reader.getCode(oracle));
    await copy.write(oracle, PINNED, BigInt(aside));
    pinned = oracle;
    await pin(price.high);
    await copy.setCode(oracle, (await artifacts.readArtifact("PinnedPrice")).deployedBytecode);
    for (const spender of [market.vault, liquidator]) {
      await copy.send(
        PAYER,
        market.debt,
        debt.interface.encodeFunctionData("approve", [spender, MaxUint256]),
      );
    }
    await copy.give(market.debt, PAYER, PLENTY);
    // Paused, nobody can liquidate.
    await copy.tentatively(async () => {
      const highest = [...positions].sort((a, b) => Number(b.view.tick - a.view.tick))[0];
      if (!highest || highest.view.debt === 0n) return;
      await copy.send(brake, market.vault, setBrake(time + 3600));
      await pin(highest.view.liquidationPrice);
      const outcome = await copy.attempt(PAYER, liquidator, order(2n ** 23n - 1n, 0));
      if (outcome.ok) fail("brake", "it is liquidated although liquidations are paused");
      else if (!outcome.words.includes("LiquidationsPaused")) fail("brake", outcome.words);
    });
    return price.high;
  }

  async function pin(price: bigint): Promise<void> {
    await copy.write(pinned, PINNED + 1n, price);
    await copy.write(pinned, PINNED + 2n, price);
  }

  function order(fromTick: bigint, maxTicks: number, buyPot = false): string {
    return Liquidator__factory.createInterface().encodeFunctionData("liquidate", [
      {
        market: market.vault,
        maxRepay: PLENTY,
        minCollateral: 0n,
        fromTick,
        maxTicks,
        buyPot,
        deadline: MaxUint256,
        receiver: RECEIVER,
      },
      "0x",
    ]);
  }

  /** Everybody repays in full and leaves; then the lenders do. */
  async function closeAll(): Promise<void> {
    let stayed = 0;
    for (const position of positions) {
      const { owner, sub, view } = position;
      if (view.debt !== 0n) {
        const had = await debt.balanceOf(PAYER);
        const repaid = await copy.attempt(PAYER, market.vault, adjust(owner, sub, 0n, ALL + 1n, PAYER));
        if (!repaid.ok) {
          stayed++;
          fail("repaid", repaid.words, position);
          continue;
        }
        expectNear("repaid", position, had - (await debt.balanceOf(PAYER)), view.debt);
      }
      if (view.collateral + view.surplus === 0n) continue;
      const had = await collateral.balanceOf(RECEIVER);
      const closed = await copy.attempt(owner, market.vault, adjust(owner, sub, ALL, 0n, RECEIVER));
      if (!closed.ok) {
        stayed++;
        fail("closed", closed.words, position);
        continue;
      }
      expectNear(
        "closed",
        position,
        (await collateral.balanceOf(RECEIVER)) - had,
        view.collateral + view.surplus,
      );
    }
    if (stayed > 0) return;
    const { bookDebt } = await lens.market(market.vault);
    if (bookDebt !== 0n) fail("closed", `a book debt of ${bookDebt} is left when everybody has repaid`);
    await leave();
  }

  async function leave(): Promise<void> {
    for (const { owner, shares } of lenders) {
      const due = await vault.convertToAssets(shares);
      const had = await debt.balanceOf(RECEIVER);
      const redeem = vault.interface.encodeFunctionData("redeem", [shares, RECEIVER, owner]);
      const redeemed = await copy.attempt(owner, market.vault, redeem);
      if (!redeemed.ok) {
        fail("lenders", `${owner} cannot redeem ${shares} shares: ${redeemed.words}`);
        continue;
      }
      const got = (await debt.balanceOf(RECEIVER)) - had;
      if (got + tolerance < due)
        fail("lenders", `${owner} redeemed ${shares} shares for ${got} instead of ${due}`);
    }
  }

  /** At the price at which it becomes liquidatable, one tick is sold alone. */
  async function liquidate(members: Position[], failAll: (words: string) => void): Promise<void> {
    const { tick, liquidationPrice } = members[0]!.view;
    await pin(liquidationPrice);
    const outcome = await copy.attempt(PAYER, liquidator, order(tick, 1));
    if (!outcome.ok) {
      failAll(outcome.words);
      return;
    }
    const repaid = (await debt.balanceOf(market.vault)) - held.debt;
    const seized = held.collateral - (await collateral.balanceOf(market.vault));
    const views = await viewsOf(members);
    let [owedLess, securedLess] = [0n, 0n];
    for (const [at, position] of members.entries()) {
      const [a, b] = [position.view, views[at]!.view];
      owedLess += a.debt - b.debt;
      securedLess += a.collateral + a.surplus - b.collateral - b.surplus;
      if (b.liquidatable) fail("liquidated", "it is liquidatable still", position);
      else if (b.debt > a.debt) fail("liquidated", `its debt rose from ${a.debt} to ${b.debt}`, position);
      else if (b.surplus !== a.surplus)
        fail("liquidated", `its surplus was ${a.surplus} and is ${b.surplus}`, position);
    }
    // So the lenders own as much as before: cash instead of debt.
    if (!near(owedLess, repaid)) failAll(`its tick owes ${owedLess} less for ${repaid} repaid`);
    if (!near(securedLess, seized)) failAll(`its tick holds ${securedLess} less for ${seized} seized`);
  }

  /** A fall by half: everything at or above the trigger goes, insolvent ticks into the pot, and nothing else is touched. */
  async function crash(price: bigint): Promise<void> {
    await pin(price / 2n);
    const { triggerTick } = await lens.market(market.vault);
    for (;;) {
      const outcome = await copy.attempt(PAYER, liquidator, order(2n ** 23n - 1n, TICKS_PER_SWEEP, true));
      if (outcome.ok) continue;
      if (!outcome.words.includes("NothingToLiquidate")) fail("crash", outcome.words);
      break;
    }
    for (const [at, { view }] of (await viewsOf(positions)).entries()) {
      const position = positions[at]!;
      if (view.liquidatable) fail("crash", "it is liquidatable still", position);
      if (position.view.debt !== 0n && position.view.tick >= triggerTick) continue;
      const parts = ["debt", "collateral", "surplus"] as const;
      const touched = parts.find((part) => !near(view[part], position.view[part]));
      if (touched) {
        const words = `below the trigger, its ${touched} was ${position.view[touched]} and is ${view[touched]}`;
        fail("crash", words, position);
      }
    }
  }

  function near(a: bigint, b: bigint): boolean {
    return a - b <= tolerance && b - a <= tolerance;
  }

  function expectNear(check: Check, position: Position, moved: bigint, expected: bigint): void {
    if (!near(moved, expected)) fail(check, `${moved} moved instead of ${expected}`, position);
  }
}

/** The first field in which two views of a position differ. */
function differenceOf(a: PositionViewStructOutput, b: PositionViewStructOutput): string | undefined {
  const at = a.findIndex((value, i) => value !== b[i]);
  const field = Lens__factory.createInterface().getFunction("position").outputs[0]!.components![at]?.name;
  return field && `${field} was ${String(a[at])} and is ${String(b[at])}`;
}

function text(value: unknown): string {
  return Array.isArray(value) ? value.map(text).join(", ") : String(value);
}

function messageOf(error: unknown): string {
  return explainRevert(error).words.split("\n")[0]!;
}
