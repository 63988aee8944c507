// What the commands print.
import type { Addresses } from "@breakwater/sdk/addresses";
import type { PriceSource } from "@breakwater/sdk/chain";
import { BPS, formatAmount, formatBps, formatPercent, formatPrice, Q128, WAD } from "@breakwater/sdk/core";
import {
  formatDuration,
  formatTime,
  type Intent,
  type MarketStatus,
  type Proposal,
  type Status,
  whoIs,
} from "@breakwater/sdk/desk";

export function statusText({ chainId, block, time, markets, safes, scheduled }: Status): string {
  const lines = [`Chain ${chainId}, block ${block}, ${formatTime(time)}`];
  for (const market of markets) lines.push("", ...marketText(market));
  lines.push("", "Safes");
  for (const { name, address, nonce, threshold, owners } of safes) {
    lines.push(`  ${name} ${address}: ${threshold} of ${owners.length}, next nonce ${nonce}`);
  }
  lines.push("", scheduled.length === 0 ? "Nothing is scheduled." : `Scheduled (${scheduled.length})`);
  for (const { id, words, executableAt, expiresAt } of scheduled) {
    const isReady = executableAt <= time;
    lines.push(
      ...words.map((line) => `  ${line}`),
      `    operation ${id}`,
      `    executable ${isReady ? "NOW" : `at ${formatTime(executableAt)}, in ${formatDuration(executableAt - time)}`}; ` +
        `gone at ${formatTime(expiresAt)}`,
      `    npm run desk -- propose cancel --operation ${id}`,
    );
  }
  return lines.join("\n");
}

function marketText({
  id,
  price,
  debt,
  brake,
  budgets,
  keepers,
  lenders,
  ramp,
  cascade,
  symbols,
  decimals,
}: MarketStatus) {
  const amount = (value: bigint) => `${formatAmount(value, decimals.debt, 2)} ${symbols.debt}`;
  const places = price.high < Q128 ? 8 : 2;
  const gap = price.low > 0n ? formatPercent(((price.high - price.low) * WAD) / price.low) : "no price";
  const source = ({ kind, price: value, age, isStale, window }: PriceSource, at: number) => {
    const name =
      kind === "feed"
        ? `${at === 0 ? "first" : "second"} feed`
        : `mean of the pool over ${formatDuration(window!)}`;
    if (value === undefined) return `${name} (does not answer)`;
    const old = age === undefined || age <= 0n ? "" : `, ${formatDuration(age)} old`;
    return `${name}${isStale ? " (STALE)" : ""} ${formatPrice(value, places)}${old}`;
  };
  const counts = [
    brake.pausedFor > 0n ? `liquidations paused for ${formatDuration(brake.pausedFor)} more` : "",
    brake.graceFor > 0n ? `grace ends in ${formatDuration(brake.graceFor)}` : "",
    brake.noNewRiskFor > 0n ? `no new risk for ${formatDuration(brake.noNewRiskFor)} more` : "",
  ].filter((part) => part !== "");
  const { last } = keepers;
  return [
    `${id}: ${brake.level === "None" ? "open" : brake.level}, price ${price.state}`,
    `  price         ${formatPrice(price.low, places)} to ${formatPrice(price.high, places)} ${symbols.debt}, apart by ${gap}`,
    ...price.sources.map((each, at) => `  ${at === 0 ? "sources" : "       "}       ${source(each, at)}`),
    `  volatility    ${formatBps(price.volatility)} a day: stress ${formatBps(price.stress)}, max LTV of new risk ${formatBps(price.maxLtvNow)}; ` +
      `veto of diverged sources ${price.vetoLeft === undefined ? "unknown" : formatDuration(price.vetoLeft)} left`,
    `  debt          ${amount(debt.total)}, seized and unsold ${formatAmount(debt.pot, decimals.debt, 2)}`,
    `  liquidatable  ${Object.entries(debt.liquidatable)
      .map(
        ([fall, value]) =>
          `${fall === "0" ? "now" : `−${(BigInt(fall) * 100n) / BPS} %`} ${formatAmount(value, decimals.debt, 0)}`,
      )
      .join(", ")}`,
    `  lenders       cash ${amount(lenders.cash)}, insurance ${amount(lenders.insurance)}, utilization ${formatPercent(lenders.utilization)}`,
    `  keepers       ${
      last
        ? `${keepers.liquidations} liquidations since block ${keepers.sinceBlock}; last ${formatTime(last.time)} by ${last.caller}, ` +
          `${amount(last.repaid)}, ${last.ticks} ticks`
        : `no liquidation since block ${keepers.sinceBlock}`
    }`,
    `  brake         ${counts.join("; ") || "nothing is paused"}${brake.reason === "none" ? "" : `; last reason: ${brake.reason}, by ${brake.reporter}`}`,
    `  budgets       liquidations ${formatDuration(budgets.liquidations)} (sentinel ${formatDuration(budgets.sentinelLiquidations)}), ` +
      `new risk ${formatDuration(budgets.newRisk)} (sentinel ${formatDuration(budgets.sentinelNewRisk)})`,
    ...(ramp.duration > 0n
      ? [
          `  ramp          ${formatDuration(ramp.elapsed)} of ${formatDuration(ramp.duration)}${ramp.windingDown ? ", WINDING DOWN" : ""}`,
        ]
      : []),
    ...(cascade.window > 0n
      ? [`  cascade       ${formatAmount(cascade.left, 18, 0)} ${symbols.debt} may be liquidated now`]
      : []),
  ];
}

/** What a signer compares and decides on. */
export function decision(
  addresses: Addresses,
  proposal: Proposal,
  intent: Intent,
  cost: { words: string[] },
  omission: string[] = [],
): string {
  const { safe, transaction, hashes, expiresAt, chainId } = proposal;
  return [
    "What it does, read from the calldata:",
    ...intent.words.map((line) => `  ${line}`),
    ...(intent.operation ? [`  operation ${intent.operation.id}`] : []),
    "What it costs:",
    ...(cost.words.length > 0 ? cost.words : ["nothing beyond its gas"]).map((line) => `  ${line}`),
    ...(omission.length > 0 ? ["What it costs to leave it:", ...omission.map((line) => `  ${line}`)] : []),
    `Chain ${chainId}, ${whoIs(addresses, safe).name} ${safe}, nonce ${transaction.nonce}, to ${transaction.to}`,
    `Expires ${formatTime(expiresAt)}`,
    "Compare with what your wallet shows:",
    `  domain hash            ${hashes.domain}`,
    `  message hash           ${hashes.message}`,
    `  Safe transaction hash  ${hashes.safeTransaction}`,
  ].join("\n");
}
