// Compares the index with the chain at the block up to which each market is indexed: every position, tick and lender, and
// every total, to the unit.
import {
  type MarketRecord,
  cascadeUsed,
  decodeRecord,
  positionKey,
  thresholdsOf,
} from "@breakwater/sdk/core";
import { InsuranceFund__factory, Lens__factory, Vault__factory } from "@breakwater/sdk/types";
import { contractAddress, type MarketAddresses } from "@breakwater/sdk/addresses";
import { concat, keccak256, toBeHex, toQuantity } from "ethers";
import { setTimeout as pause } from "node:timers/promises";

import { Refusal } from "../trade/desk.ts";
import type { Chain } from "./scene.ts";

export interface CheckedMarket {
  market: string;
  block: number;
  positions: number;
  ticks: number;
  lenders: number;
  /** What differs: the name, what the index has, what the chain has. */
  differences: { what: string; index: string; chain: string }[];
}

interface State {
  record: string;
  blockHash: string;
  positions: [string, string, string, string, string, number | null, string, string, string][];
  ticks: [number, string, number, string][];
  lenders: [string, string][];
}

const POSITION_SLOT = 10n;
const ATTEMPTS = 20;
const bits = (word: bigint, at: bigint, width: bigint) => (word >> at) & ((1n << width) - 1n);

export async function checkIndex(chain: Chain, url: string): Promise<CheckedMarket[]> {
  const checked: CheckedMarket[] = [];
  for (const market of chain.addresses.markets) checked.push(await checkMarket(chain, url, market));
  return checked;
}

async function checkMarket(chain: Chain, url: string, market: MarketAddresses): Promise<CheckedMarket> {
  const { provider, addresses } = chain;
  const { record: m, state } = await settledState(chain, url, market);
  const blockTag = m.block;
  const differences: CheckedMarket["differences"] = [];
  const same = (what: string, index: unknown, onChain: unknown) => {
    if (String(index) !== String(onChain))
      differences.push({ what, index: String(index), chain: String(onChain) });
  };
  const vault = Vault__factory.connect(market.vault, provider);
  const lens = Lens__factory.connect(contractAddress(addresses, "Lens"), provider);
  const insurance = InsuranceFund__factory.connect(contractAddress(addresses, "InsuranceFund"), provider);
  const word = async (slot: bigint) => BigInt(await provider.getStorage(market.vault, slot, blockTag));

  const [first, second, header, potWord, cascade, supply, insured] = (await Promise.all([
    ...[0n, 1n, 5n, 6n, 13n].map(word),
    vault.totalSupply({ blockTag }),
    insurance.balanceOf(market.vault, { blockTag }),
  ])) as [bigint, bigint, bigint, bigint, bigint, bigint, bigint];
  same("borrow index", m.ledger.borrowIndex, bits(first, 0n, 104n));
  same("cash", m.ledger.cash, bits(first, 104n, 112n));
  same("rate at target", m.ledger.rateAtTarget, bits(first, 216n, 40n));
  same("book debt", m.ledger.debt, bits(second, 0n, 104n));
  same("reserves", m.ledger.reserves, bits(second, 104n, 112n));
  same("accrued at", m.ledger.accruedAt, bits(second, 216n, 32n));
  same("reserve factor", m.ledger.reserveFactor, bits(second, 248n, 8n));
  same("ids of nodes", m.nodes, bits(header, 0n, 32n));
  same("bound of the highest tick", m.top, BigInt.asIntN(24, bits(header, 32n, 24n)));
  same("pot's time", m.pot.seizedAt, bits(header, 56n, 32n));
  same("pot's debt", m.pot.debt, bits(header, 88n, 128n));
  same("pot's collateral", m.pot.collateral, bits(potWord, 0n, 128n));
  same("lenders' shares", m.lenderShares, supply);
  same("insurance", m.insurance, insured);

  const view = await lens.market(market.vault, { blockTag });
  const thresholds = thresholdsOf(m, BigInt(m.timestamp));
  same("oracle", m.oracle.toLowerCase(), view.oracle.toLowerCase());
  same("liquidation threshold", thresholds.liquidationThreshold, view.risk.liquidationThreshold);
  same("target", thresholds.target, view.risk.target);
  for (const name of ["maxLtv", "bonusMin", "bonusMax", "slope"] as const)
    same(name, m.risk[name], view.risk[name]);
  for (const name of ["debt", "collateral", "minDebt"] as const)
    same(`cap: ${name}`, m.caps[name], view.caps[name]);
  for (const name of ["noNewRiskUntil", "liquidationsPausedUntil", "graceUntil"] as const)
    same(name, m.brake[name], view[name]);
  same("winding down", m.isWindingDown, view.windingDown);
  same("cascade cap", m.cascade.cap, view.cascadeCap);
  if (m.cascade.cap !== 0n) {
    const now = BigInt(m.timestamp);
    const [window, used] = [bits(cascade, 80n, 32n), bits(cascade, 112n, 112n)];
    const stored = { cap: bits(cascade, 0n, 80n), window, used, usedAt: bits(cascade, 224n, 32n) };
    const [index, onChain] = [cascadeUsed(m.cascade, now), cascadeUsed(stored, now)];
    // A lender's entry that seizes looks like a keeper's, which rounds what has counted.
    if (index - onChain > 1n || onChain - index > 1n) same("used of the cascade cap", index, onChain);
  }

  await checkPositions(chain, market, m, state, same);
  const ticks = await readTicks(chain, market, blockTag);
  const indexTicks = new Map(
    state.ticks.map(([tick, node, positions, debt]) => [tick, `${node} ${positions} ${debt}`]),
  );
  for (const tick of new Set([...ticks.keys(), ...indexTicks.keys()])) {
    same(`tick ${tick}: node, positions, debt`, indexTicks.get(tick), ticks.get(tick));
  }
  // As many positions are in debt as the ticks count: none is unknown to the index.
  const indebted = state.positions.filter(([, , , , , , debt]) => debt !== "0").length;
  same(
    "positions in debt",
    indebted,
    state.ticks.reduce((sum, [, , count]) => sum + count, 0),
  );

  await inBatches(state.lenders, async ([account, shares]) => {
    same(`shares of ${account}`, shares, await vault.balanceOf(account, { blockTag }));
  });
  same(
    "sum of lenders' shares",
    state.lenders.reduce((sum, [, shares]) => sum + BigInt(shares), 0n),
    supply,
  );
  return {
    ...{ market: market.id, block: m.block, positions: state.positions.length },
    ...{ ticks: state.ticks.length, lenders: state.lenders.length, differences },
  };
}

/** The stored words, and what the Lens makes of them. */
async function checkPositions(
  { provider, addresses }: Chain,
  { vault }: MarketAddresses,
  { block }: MarketRecord,
  { positions }: State,
  same: (what: string, index: unknown, onChain: unknown) => void,
): Promise<void> {
  const lens = Lens__factory.createInterface();
  const to = contractAddress(addresses, "Lens");
  const blockTag = toQuantity(block);
  // ethers takes longer to decode a view than the node to compute it. All its fields are of one word.
  const { components } = lens.getFunction("positions").outputs[0]!.arrayChildren!;
  const at = (field: string) => components!.findIndex(({ name }) => name === field);
  const [node, tick, debt] = [at("node"), at("tick"), at("bookDebt")];
  for (let from = 0; from < positions.length; from += BATCH) {
    const batch = positions.slice(from, from + BATCH);
    const data = lens.encodeFunctionData("positions", [
      vault,
      batch.map(([owner]) => owner),
      batch.map(([, sub]) => sub),
    ]);
    const [views, ...stored] = (await Promise.all([
      provider.send("eth_call", [{ to, data }, blockTag]),
      ...batch.map(
        async ([owner, sub]) =>
          provider.send("eth_getStorageAt", [vault, slotOf(owner, sub), blockTag]) as Promise<string>,
      ),
    ])) as [string, ...string[]];
    const wordOf = (view: number, field: number) => {
      const start = 2 + 64 * (2 + view * components!.length + field);
      return BigInt(`0x${views.slice(start, start + 64)}`);
    };
    batch.forEach(([owner, sub, node_, shares, nodeNow, tickNow, debtNow, , surplus], i) => {
      const whose = `of ${owner}/${sub}`;
      const word = BigInt(node_) | (BigInt(shares) << 32n) | (BigInt(surplus) << 160n);
      same(`stored word ${whose}`, toBeHex(word, 32), toBeHex(stored[i]!, 32));
      same(`book debt ${whose}`, debtNow, wordOf(i, debt));
      if (debtNow === "0") return;
      same(`node ${whose}`, nodeNow, wordOf(i, node));
      same(`tick ${whose}`, tickNow, BigInt.asIntN(24, wordOf(i, tick)));
    });
  }
}

function slotOf(owner: string, sub: string): string {
  return keccak256(concat([positionKey(owner, BigInt(sub)), toBeHex(POSITION_SLOT, 32)]));
}

async function readTicks({ provider, addresses }: Chain, { vault }: MarketAddresses, blockTag: number) {
  const lens = Lens__factory.connect(contractAddress(addresses, "Lens"), provider);
  const ticks = new Map<number, string>();
  for (let from = 2n ** 23n - 1n; ;) {
    const views = await lens.ticks(vault, from, BATCH, { blockTag });
    for (const { tick, node, count, bookDebt } of views)
      ticks.set(Number(tick), `${node} ${count} ${bookDebt}`);
    if (views.length < BATCH) return ticks;
    from = views.at(-1)!.tick - 1n;
  }
}

/** The market in the index once its last block is the chain's: after a reorganisation that takes a moment. */
async function settledState({ provider }: Chain, url: string, { vault, id }: MarketAddresses) {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(`${url}/state/${vault}`).catch((error: unknown) => {
      throw new Refusal(`no index answers at ${url}: ${(error as Error).message}`);
    });
    if (response.status === 404)
      throw new Refusal(`the index at ${url} knows nothing of the market ${id} yet`);
    if (!response.ok)
      throw new Refusal(`the index at ${url} answered ${response.status}: ${await response.text()}`);
    const state = (await response.json()) as State;
    const record = decodeRecord(state.record);
    const block = await provider.getBlock(record.block);
    if (block?.hash === state.blockHash) return { record, state };
    if (attempt === ATTEMPTS)
      throw new Refusal(
        `the index has block ${record.block} of ${id} as ${state.blockHash}, the chain has ${block?.hash ?? "none"}: it has not followed a reorganisation`,
      );
    await pause(500);
  }
}

const BATCH = 200;

async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += BATCH) {
    await Promise.all(items.slice(from, from + BATCH).map(work));
  }
}
