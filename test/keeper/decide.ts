import { expect } from "chai";

import { decide, explain, type Parameters } from "../../keeper/src/decide.ts";
import type { MarketSnapshot, Offer, Snapshot } from "../../keeper/src/snapshot.ts";

const USDC = 1_000_000n;
const GWEI = 10n ** 9n;

const parameters: Parameters = {
  minProfit: 10n ** 15n, // 2 USDC
  maxSlippage: 50n,
  deadline: 120n,
  maxTicks: 100,
  gasBase: 500_000n,
  gasPerTick: 20_000n,
  seizeGas: true,
  pokePeriod: 1_800n,
};

/** A size that earns `gross` before gas. */
function offer(repaid: bigint, gross: bigint, ticks = 3): Offer {
  return { maxRepay: repaid, repaid, seized: 1n, proceeds: repaid + gross, path: "0x", ticks };
}

const market: MarketSnapshot = {
  id: "WETH/USDC",
  vault: "0xVault",
  debtSymbol: "USDC",
  debtDecimals: 6,
  oracle: "0xOracle",
  priceState: "Fresh",
  round: 5n,
  lastPoke: { at: 1_800_000_000n, priceState: "Fresh", round: 5n, count: 1 }, // just now
  ramp: undefined,
  brake: { level: "None", until: 0n },
  nearest: { tick: 3_050, distance: -(10n ** 16n) },
  liquidatableTicks: 3,
  insolventTicks: 0,
  potDebt: 0n,
  coinPrice: 2_000n * USDC,
  offers: [
    offer(10_000n * USDC, 150n * USDC),
    offer(20_000n * USDC, 220n * USDC),
    offer(30_000n * USDC, 90n * USDC),
  ],
};

function decideOn(
  change: Partial<MarketSnapshot>,
  snapshot: Partial<Snapshot> = {},
  p: Partial<Parameters> = {},
) {
  const whole: Snapshot = {
    block: 7,
    timestamp: 1_800_000_000n,
    gasPrice: 10n * GWEI,
    markets: [{ ...market, ...change }],
    ...snapshot,
  };
  const [decision] = decide(whole, { ...parameters, ...p });
  const { actions, reasons } = decision!;
  return { action: actions[0], actions, reasons, words: reasons.map((r) => explain(r, decision!.market)) };
}

const CALM = {
  liquidatableTicks: 0,
  nearest: { tick: 3_000, distance: 42n * 10n ** 15n },
  offers: [],
} satisfies Partial<MarketSnapshot>;

describe("decide", () => {
  it("takes the size that earns most, and limits what may go wrong", () => {
    const { action, reasons } = decideOn({});
    expect(reasons).to.deep.equal([]);
    // gas: 560,000 × 10 gwei = 0.0056 coins = 11.2 USDC
    expect(action).to.deep.equal({
      kind: "liquidate",
      market: "0xVault",
      offer: market.offers[1],
      costs: {
        repaid: 20_000n * USDC,
        proceeds: 20_220n * USDC,
        gas: 11_200_000n,
        profit: 208_800_000n,
        required: 2n * USDC,
      },
      maxRepay: 20_020n * USDC + 1n,
      buyPot: false,
      maxTicks: 100,
      minOut: 20_118_900_000n,
      minProfit: 13_200_000n,
      deadline: 1_800_000_120n,
    });
  });

  it("takes a smaller size on a thin pool", () => {
    const { action } = decideOn({
      offers: [
        offer(1_000n * USDC, 15n * USDC),
        offer(10_000n * USDC, -40n * USDC),
        offer(20_000n * USDC, -900n * USDC),
      ],
    });
    expect(action?.kind === "liquidate" && action.offer.repaid).to.equal(1_000n * USDC);
  });

  it("does nothing while the price is dead", () => {
    const { actions, words } = decideOn({ priceState: "Dead" });
    expect(actions).to.deep.equal([]);
    expect(words).to.deep.equal(["the price is dead: nothing can be liquidated"]);
  });

  it("waits while liquidations are paused, and in grace", () => {
    const until = 1_800_000_600n;
    const paused = decideOn({ brake: { level: "LiquidationsPaused", until } });
    expect(paused.actions).to.deep.equal([]);
    expect(paused.words).to.deep.equal(["liquidations paused until 2027-01-15T08:10:00Z"]);
    expect(decideOn({ brake: { level: "Grace", until } }).words).to.deep.equal([
      "grace after a pause until 2027-01-15T08:10:00Z",
    ]);
  });

  it("liquidates while only new risk is stopped", () => {
    expect(decideOn({ brake: { level: "NoNewRisk", until: 1n } }).actions).to.have.length(1);
  });

  it("liquidates on a price that is not fresh, as far as it is offered", () => {
    expect(decideOn({ priceState: "Diverged" }).actions).to.have.length(1);
    expect(decideOn({ priceState: "Single" }).actions).to.have.length(1);
  });

  it("names the nearest tick and its distance below the trigger", () => {
    const { actions, words } = decideOn(CALM);
    expect(actions).to.deep.equal([]);
    expect(words).to.deep.equal(["nearest tick 3000: the price is 4.20 % above its liquidation price"]);
  });

  it("says when nobody owes anything", () => {
    const { nearest: _, ...rest } = { ...market, ...CALM };
    const [decision] = decide({ block: 1, timestamp: 1n, gasPrice: 1n, markets: [rest] }, parameters);
    expect(decision!.reasons).to.deep.equal([{ kind: "no debt" }]);
  });

  it("does nothing when gas eats the profit, and says by how much", () => {
    const { actions, words } = decideOn({}, { gasPrice: 250n * GWEI });
    expect(actions).to.deep.equal([]);
    expect(words).to.deep.equal([
      "unprofitable: the best size repays 20,000.0000 USDC, sells for 20,220.0000 USDC and costs 280.0000 USDC of gas: " +
        "-60.0000 USDC, at least 2.0000 USDC wanted",
    ]);
  });

  it("does nothing when every size loses on the pool", () => {
    const { reasons } = decideOn({ offers: [offer(10_000n * USDC, -1n), offer(20_000n * USDC, -500n)] });
    expect(reasons.map(({ kind }) => kind)).to.deep.equal(["unprofitable"]);
  });

  it("acts at exactly the wanted profit, not a unit below", () => {
    const exact = 13_200_000n;
    expect(decideOn({ offers: [offer(1_000n * USDC, exact)] }).actions).to.have.length(1);
    expect(decideOn({ offers: [offer(1_000n * USDC, exact - 1n)] }).actions).to.have.length(0);
  });

  it("says when no size can be had or sold", () => {
    expect(decideOn({ offers: [] }).reasons).to.deep.equal([{ kind: "no quote", sizes: 0 }]);
    expect(decideOn({ offers: [offer(0n, 0n)] }).reasons).to.deep.equal([{ kind: "no quote", sizes: 1 }]);
  });

  it("does not guess what gas costs", () => {
    expect(decideOn({ coinPrice: undefined }).words).to.deep.equal(["no pool prices gas in USDC"]);
  });

  it("buys the pot when nothing else is for sale", () => {
    const { action, reasons } = decideOn({
      ...CALM,
      potDebt: 5_000n * USDC,
      offers: [offer(5_000n * USDC, 60n * USDC, 0)],
    });
    expect(action?.kind === "liquidate" && action.buyPot).to.be.true;
    expect(reasons.map(({ kind }) => kind)).to.deep.equal(["not liquidatable"]);
  });

  it("leaves the pot while the price is not fresh", () => {
    const { actions, reasons } = decideOn({ ...CALM, potDebt: 1n, priceState: "Single" });
    expect(actions).to.deep.equal([]);
    expect(reasons.map(({ kind }) => kind)).to.deep.equal(["not liquidatable", "pot waits"]);
  });

  it("seizes insolvent ticks when no liquidation pays", () => {
    const { actions, reasons } = decideOn({ insolventTicks: 250, offers: [offer(10n * USDC, 0n)] });
    expect(actions).to.deep.equal([{ kind: "seize", market: "0xVault", maxTicks: 100 }]);
    expect(reasons.map(({ kind }) => kind)).to.deep.equal(["unprofitable"]);
  });

  it("does not seize by itself what a liquidation seizes on its way", () => {
    const { actions } = decideOn({ insolventTicks: 2 });
    expect(actions.map(({ kind }) => kind)).to.deep.equal(["liquidate"]);
  });

  it("does not seize on a price that is not fresh, nor when told not to", () => {
    const insolvent = { insolventTicks: 2, offers: [] };
    expect(decideOn({ ...insolvent, priceState: "Diverged" }).words.at(-1)).to.equal(
      "2 ticks are insolvent, but cannot be seized on a price that is Diverged",
    );
    const off = decideOn(insolvent, {}, { seizeGas: false });
    expect(off.actions).to.deep.equal([]);
    expect(off.reasons.at(-1)).to.deep.equal({ kind: "seizing off", ticks: 2 });
  });

  it("seizes in grace what may be seized, and sells nothing", () => {
    const brake = { level: "Grace", until: 1_800_000_600n } as const;
    const grace = decideOn({ brake, insolventTicks: 2 });
    expect(grace.actions).to.deep.equal([{ kind: "seize", market: "0xVault", maxTicks: 2 }]);
    expect(grace.reasons.map(({ kind }) => kind)).to.deep.equal(["paused"]);
    expect(decideOn({ brake, insolventTicks: 2, priceState: "Single" }).actions).to.deep.equal([]);
    expect(decideOn({ brake, insolventTicks: 2 }, {}, { seizeGas: false }).actions).to.deep.equal([]);
    const paused = { level: "LiquidationsPaused", until: 1n } as const;
    expect(decideOn({ brake: paused, insolventTicks: 2 }).actions).to.deep.equal([]);
  });

  describe("pokes", () => {
    const NOW = 1_800_000_000n;
    const ago = (seconds: bigint, priceState: MarketSnapshot["priceState"] = "Fresh", round = 5n) => ({
      lastPoke: { at: NOW - seconds, priceState, round, count: 1 },
    });
    const brake = { level: "Grace", until: NOW + 600n } as const;
    const ramp = (halted: boolean) => ({ ramp: { halted } });
    const oracle = (why: string) => ["oracle", why];
    const halt = ["ramp", "it stands while the price is Dead"];
    const goOn = ["ramp", "the price is back: it goes on"];
    const round = oracle("a round in grace, that seizing may wait for");
    const dead = oracle("the price is Dead");
    const cases: [string, Partial<MarketSnapshot>, string[][]][] = [
      ["nothing while all is well", { lastPoke: undefined }, []],
      ["a dead price at once", { priceState: "Dead", lastPoke: undefined }, [dead]],
      ["not within the period", { priceState: "Dead", ...ago(1_799n) }, []],
      ["at the period", { priceState: "Dead", ...ago(1_800n, "Dead") }, [dead]],
      [
        "diverged sources, paused or not",
        {
          priceState: "Diverged",
          ...ago(1_800n, "Diverged"),
          brake: { ...brake, level: "LiquidationsPaused" },
        },
        [oracle("the price is Diverged")],
      ],
      ["a single source", { priceState: "Single", ...ago(1_800n) }, [oracle("the price is Single")]],
      ["a single source only once", { priceState: "Single", ...ago(9_000n, "Single") }, []],
      ["the end of an outage", ago(1_800n, "Dead"), [oracle("the price is Fresh again")]],
      ["a round in grace", { brake, lastPoke: undefined }, [round]],
      ["the next round in grace", { brake, ...ago(1_800n, "Fresh", 4n) }, [round]],
      ["the same round in grace only once", { brake, ...ago(1_800n) }, []],
      [
        "a ramp on a dead price",
        { priceState: "Dead", ...ago(1_800n, "Dead"), ...ramp(false) },
        [dead, halt],
      ],
      ["a halted ramp no more", { priceState: "Dead", ...ago(1_800n, "Dead"), ...ramp(true) }, [dead]],
      ["a halted ramp on a price", { lastPoke: undefined, ...ramp(true) }, [goOn]],
      ["a running ramp never", { lastPoke: undefined, ...ramp(false) }, []],
    ];
    for (const [name, change, expected] of cases) {
      it(name, () => {
        const poked = (p: Partial<Parameters>) =>
          decideOn({ ...CALM, ...change }, {}, p).actions.map((a) =>
            a.kind === "poke" ? [a.what, a.why] : [a.kind],
          );
        expect(poked({})).to.deep.equal(expected);
        expect(poked({ pokePeriod: 0n })).to.deep.equal([]);
      });
    }

    it("after the liquidation", () => {
      const { actions } = decideOn({ priceState: "Diverged", lastPoke: undefined });
      expect(actions.map(({ kind }) => kind)).to.deep.equal(["liquidate", "poke"]);
    });
  });

  it("decides every market by itself", () => {
    const other = { ...market, ...CALM, id: "USDC/WETH" };
    const decisions = decide(
      { block: 1, timestamp: 1n, gasPrice: GWEI, markets: [other, market] },
      parameters,
    );
    expect(decisions.map(({ actions }) => actions.length)).to.deep.equal([0, 1]);
  });
});
