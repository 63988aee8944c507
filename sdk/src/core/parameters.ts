import { ratioOf } from "./grid.ts";
import { BPS } from "./math.ts";
import type { SaleRisk } from "./sale.ts";

// What a market's risk parameters must keep, bit for bit as contracts/libraries/Parameters.sol checks it.

/** Basis points. */
export interface RiskParameters extends SaleRisk {
  maxLtv: bigint;
}

/** The first rule that the parameters break, in the words of the contract's error; undefined: none. `band`: the oracle's. */
export function brokenRule(p: RiskParameters, spacing: number, band: bigint): string | undefined {
  const one = ratioOf(0, spacing);
  const step = ratioOf(1, spacing);
  const room = ratioOf(8, spacing) >> 64n;
  const rules: [boolean, string][] = [
    [p.maxLtv < p.liquidationThreshold, "maxLtv < liquidationThreshold"],
    [p.bonusMin !== 0n && p.bonusMin <= p.bonusMax, "0 < bonusMin <= bonusMax"],
    [
      p.target !== 0n && p.target * step <= p.liquidationThreshold * one,
      "0 < target * (1 + step) <= liquidationThreshold",
    ],
    [p.target * (BPS + p.bonusMax) < BPS * BPS, "target * (1 + bonusMax) < 1"],
    [
      p.liquidationThreshold * (BPS + band) * (BPS + p.bonusMin) * room < BPS * BPS * BPS * (one >> 64n),
      "liquidationThreshold * (1 + band) * (1 + bonusMin) * (1 + step)^8 < 1",
    ],
    [(step - one) * 4n * BPS <= p.bonusMin * one, "step <= bonusMin / 4"],
    [
      (step - one) * 4n * BPS <= (p.liquidationThreshold - p.maxLtv) * one,
      "step <= (liquidationThreshold - maxLtv) / 4",
    ],
  ];
  return rules.find(([kept]) => !kept)?.[1];
}
