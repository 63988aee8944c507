import { expect } from "chai";

import { decide, explain, type Parameters } from "../../keeper/src/decide.ts";
import type { MarketSnapshot, Offer, Snapshot } from "../../keeper/src/snapshot.ts";
import { PARAMETERS } from "../support/keeper.ts";

const USDC = 1_000_000n;
const GWEI = 10n ** 9n;
const FROM_THE_TOP = 2 ** 23 - 1;

const parameters: Parameters = {
  ...PARAMETERS,
  gasBase: 500_000n,
  gasPerTick: 20_000n,
  pokePeriod: 1_800n,
};

/** A size that earns `gross` before gas. */
function offer(repaid: bigint, gross: bigint, ticks = 3): Offer {
  const sale = { proceeds: repaid + gross, path: "0x" };
  // On the pool as much as by the oracle, for one unit of collateral each.
  return {
    fromTick: FROM_THE_TOP,
    maxRepay: repaid,
    repaid,
    seized: sale.proceeds,
    value: sale.proceeds,
    ticks,
    sale,
  };
}

const market: MarketSnapshot = {
  id: "WETH/USDC",
  vault: "0xVault",
  debt: "0xDebt",
  debtSymbol: "USDC",
  debtDecimals: 6,
  oracle: "0xOracle",
  priceState: "Fresh",
  round: 5n,
  recorded: { state: "Fresh", round: 5n, freshAt: 1_800_000_000n, apartAt: 0n },
  ramp: undefined,
  brake: { level: "None", until: 0n },
  nearest: { tick: 3_050, distance: -(10n ** 16n), toSeizure: 10n ** 17n },
  liquidatableTicks: 3,
  insolventTicks: 0,
  cascadeCapped: false,
  potDebt: 0n,
  coinPrice: 2_000n * USDC,
  inventory: 0n,
  little: undefined,
  offers: [
    offer(10_000n * USDC, 150n * USDC),
    offer(20_000n * USDC, 220n * USDC),
    offer(30_000n * USDC, 90n * USDC),
  ],
  orders: [],
};

const whole: Snapshot = {
  block: 7,
  hash: "0x07",
  timestamp: 1_800_000_000n,
  baseFee: 9n * GWEI,
  tip: GWEI,
  gasPrice: 10n * GWEI,
  sequencerGrace: 0n,
  markets: [market],
  unreadable: [],
};

/** What the oracle recorded last, `ago` seconds ago. */
function recorded(ago: bigint, state: MarketSnapshot["priceState"] = "Fresh") {
  const at = whole.timestamp - ago;
  const apart = state === "Diverged" || state === "Dead";
  return { state, round: 5n, freshAt: apart ? 0n : at, apartAt: apart ? at : 0n };
}

function decideOn(
  change: Partial<MarketSnapshot>,
  snapshot: Partial<Snapshot> = {},
  p: Partial<Parameters> = {},
) {
  const [decision] = decide(
    { ...whole, markets: [{ ...market, ...change }], ...snapshot },
    { ...parameters, ...p },
  );
  const { actions, reasons } = decision!;
  return { action: actions[0], actions, reasons, words: reasons.map((r) => explain(r, decision!.market)) };
}

const seizure = (maxTicks: number) => ({
  kind: "liquidate",
  mode: "absorb",
  market: "0xVault",
  maxTicks,
  worth: parameters.seizeBudget,
});

const CALM = {
  liquidatableTicks: 0,
  nearest: { tick: 3_000, distance: 42n * 10n ** 15n, toSeizure: 16n * 10n ** 16n },
  offers: [],
} satisfies Partial<MarketSnapshot>;

describe("decide", () => {
  it("takes the size that earns most, and limits what may go wrong", () => {
    const { action, reasons } = decideOn({});
    expect(reasons).to.deep.equal([]);
    // gas: 560,000 × 10 gwei = 0.0056 coins = 11.2 USDC
    expect(action).to.deep.equal({
      kind: "liquidate",
      mode: "flash",
      market: "0xVault",
      offer: market.offers[1],
      path: "0x",
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
      worth: 109n * 10n ** 15n, // 218 of 220 USDC
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
    expect(action?.kind === "liquidate" && action.mode === "flash" && action.offer.repaid).to.equal(
      1_000n * USDC,
    );
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
    expect(decideOn({ ...CALM, nearest: undefined }).reasons).to.deep.equal([{ kind: "no debt" }]);
  });

  it("says when the cascade brake leaves nothing", () => {
    expect(decideOn({ ...CALM, cascadeCapped: true }).reasons).to.deep.equal([{ kind: "cascade cap" }]);
  });

  it("does nothing when gas eats the profit, and says by how much", () => {
    const { actions, words } = decideOn({}, { gasPrice: 250n * GWEI });
    expect(actions).to.deep.equal([]);
    expect(words).to.deep.equal([
      "unprofitable: the best size repays 20,000.0000 USDC, brings 20,220.0000 USDC and costs 280.0000 USDC of gas: " +
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
    expect(action?.kind === "liquidate" && action.mode === "flash" && action.buyPot).to.be.true;
    expect(reasons.map(({ kind }) => kind)).to.deep.equal(["not liquidatable"]);
  });

  it("leaves the pot while the price is not fresh", () => {
    const { actions, reasons } = decideOn({ ...CALM, potDebt: 1n, priceState: "Single" });
    expect(actions).to.deep.equal([]);
    expect(reasons.map(({ kind }) => kind)).to.deep.equal(["not liquidatable", "pot waits"]);
  });

  it("seizes insolvent ticks when no liquidation pays", () => {
    const { actions, reasons } = decideOn({ insolventTicks: 250, offers: [offer(10n * USDC, 0n)] });
    expect(actions).to.deep.equal([seizure(100)]);
    expect(reasons.map(({ kind }) => kind)).to.deep.equal(["unprofitable"]);
  });

  it("does not seize by itself what a liquidation seizes on its way", () => {
    const { actions } = decideOn({ insolventTicks: 2 });
    expect(actions.map((a) => a.kind === "liquidate" && a.mode)).to.deep.equal(["flash"]);
  });

  it("liquidates a market once at a time, though insolvent ticks be above", () => {
    const { actions } = decideOn({
      insolventTicks: 2,
      offers: [{ ...market.offers[0]!, fromTick: market.nearest!.tick - 1 }],
    });
    expect(actions.map((a) => a.kind === "liquidate" && a.mode)).to.deep.equal(["flash"]);
  });

  it("does not seize on a price that is not fresh, nor when told not to", () => {
    const insolvent = { insolventTicks: 2, offers: [] };
    expect(decideOn({ ...insolvent, priceState: "Diverged" }).words.at(-1)).to.equal(
      "2 ticks are insolvent, but cannot be seized on a price that is Diverged",
    );
    const off = decideOn(insolvent, {}, { seizeBudget: 0n });
    expect(off.actions).to.deep.equal([]);
    expect(off.reasons.at(-1)).to.deep.equal({ kind: "seizing off", ticks: 2 });
  });

  it("seizes in grace what may be seized, and sells nothing", () => {
    const brake = { level: "Grace", until: 1_800_000_600n } as const;
    const grace = decideOn({ brake, insolventTicks: 2 });
    expect(grace.actions).to.deep.equal([seizure(2)]);
    expect(grace.reasons.map(({ kind }) => kind)).to.deep.equal(["paused"]);
    expect(decideOn({ brake, insolventTicks: 2, priceState: "Single" }).actions).to.deep.equal([]);
    expect(decideOn({ brake, insolventTicks: 2 }, {}, { seizeBudget: 0n }).actions).to.deep.equal([]);
    const paused = { level: "LiquidationsPaused", until: 1n } as const;
    expect(decideOn({ brake: paused, insolventTicks: 2 }).actions).to.deep.equal([]);
  });

  describe("worth", () => {
    it("leaves the wanted profit whatever gas comes to cost", () => {
      const { action } = decideOn({}, { gasPrice: 90n * GWEI });
      // As at the going fee: gas is not subtracted twice.
      expect(action?.worth).to.equal(109n * 10n ** 15n);
    });

    it("is a configured budget for what earns nothing", () => {
      const { actions } = decideOn({ insolventTicks: 1, offers: [], priceState: "Fresh" });
      expect(actions.map(({ worth }) => worth)).to.deep.equal([parameters.seizeBudget]);
      const [poke] = decideOn({ ...CALM, priceState: "Dead", recorded: recorded(9_000n) }).actions;
      expect(poke?.worth).to.equal(parameters.pokeBudget);
    });
  });

  describe("inventory", () => {
    const inventory = { haircut: 100n };
    const mode = (change: Partial<MarketSnapshot>, p: Partial<Parameters> = { inventory }) => {
      const { action } = decideOn(change, {}, p);
      return action?.kind === "liquidate" ? action.mode : action;
    };

    it("serves where the pool is too thin: the collateral is worth more kept", () => {
      const thin = {
        ...offer(10_000n * USDC, -500n * USDC),
        seized: 5n * 10n ** 18n,
        value: 10_400n * USDC,
      };
      // At the pool's price for a little, as it is lower than the oracle's.
      const little = { collateral: 10n ** 15n, proceeds: 2_060_000n };
      const decided = decideOn({ offers: [thin], inventory: 20_000n * USDC, little }, {}, { inventory });
      const { action } = decided;
      expect(action?.kind === "liquidate" && action.mode === "inventory" && action).to.deep.include({
        debt: "0xDebt",
        maxRepay: 10_010n * USDC + 1n,
        minCollateral: (thin.seized * 9_950n) / 10_000n,
      });
      expect(action?.kind === "liquidate" && action.mode === "inventory" && action.costs.proceeds).to.equal(
        10_197n * USDC, // 10,300 less the haircut
      );
    });

    it("is not used beyond what the account holds, nor unless asked for", () => {
      const kept = { ...offer(10_000n * USDC, 0n), value: 10_400n * USDC, sale: undefined };
      expect(mode({ offers: [kept], inventory: 10_000n * USDC })).to.equal("inventory");
      expect(mode({ offers: [kept], inventory: 10_000n * USDC - 1n })).to.be.undefined;
      expect(mode({ offers: [kept], inventory: 10_000n * USDC }, {})).to.be.undefined;
    });

    it("never approves more than the account holds", () => {
      const kept = { ...offer(10_000n * USDC, 0n), value: 10_400n * USDC, sale: undefined };
      const { action } = decideOn({ offers: [kept], inventory: 10_001n * USDC }, {}, { inventory });
      expect(action?.kind === "liquidate" && action.mode === "inventory" && action.maxRepay).to.equal(
        10_001n * USDC,
      );
    });

    it("gives way to the pool where that brings more than the collateral less the haircut", () => {
      expect(mode({ inventory: 30_000n * USDC })).to.equal("flash");
    });
  });

  describe("rescue", () => {
    const rescue = { distance: 200n, maxLoss: 10n ** 16n }; // 2 %, 20 USDC
    const near = { tick: 3_050, distance: -(10n ** 17n), toSeizure: 2n * 10n ** 16n };
    const losing = [offer(1_000n * USDC, 5n * USDC), offer(8_000n * USDC, 0n), offer(9_000n * USDC, -1n)];

    it("saves as much as the loss allows, on the way to total seizure", () => {
      const { action, reasons } = decideOn({ offers: losing, nearest: near }, {}, { rescue });
      expect(reasons).to.deep.equal([]);
      // 11.2 USDC of gas; 9,000 would need capital.
      expect(action?.kind === "liquidate" && action.mode === "flash" && action).to.deep.include({
        offer: losing[1],
        minProfit: 0n,
        worth: 10n ** 16n,
      });
    });

    it("loses nothing while total seizure is far, nor once it is there", () => {
      const far = { ...near, toSeizure: near.toSeizure + 1n };
      const past = { ...near, toSeizure: 0n };
      for (const nearest of [far, past]) {
        const { actions, reasons } = decideOn({ offers: losing, nearest }, {}, { rescue });
        expect(actions).to.deep.equal([]);
        expect(reasons.map(({ kind }) => kind)).to.deep.equal(["unprofitable"]);
      }
    });

    it("stops at the limit, and says so", () => {
      const { actions, words } = decideOn(
        { offers: losing, nearest: near },
        {},
        { rescue: { ...rescue, maxLoss: 10n ** 15n } },
      );
      expect(actions).to.deep.equal([]);
      expect(words.at(-1)).to.equal("near total seizure, but a rescue would lose more than 2.0000 USDC");
    });

    it("spends the account's own tokens where the pool no longer repays", () => {
      const { action } = decideOn(
        { offers: [offer(1_000n * USDC, -5n * USDC)], nearest: near, inventory: 5_000n * USDC },
        {},
        { rescue, inventory: { haircut: 0n } },
      );
      expect(action?.kind === "liquidate" && action.mode).to.equal("inventory");
      expect(action?.worth).to.equal((15n * 10n ** 18n) / 2_000n); // 20 − 5 USDC
    });

    it("takes a profit where there is one", () => {
      const { action } = decideOn({ nearest: near }, {}, { rescue });
      expect(action?.kind === "liquidate" && action.mode === "flash" && action.offer).to.equal(
        market.offers[1],
      );
    });
  });

  describe("pokes", () => {
    const NOW = whole.timestamp;
    const brake = { level: "Grace", until: NOW + 600n } as const;
    const ramp = (halted: boolean) => ({ ramp: { halted } });
    const oracle = (why: string) => ["oracle", why];
    const halt = ["ramp", "it stands while the price is Dead"];
    const goOn = ["ramp", "the price is back: it goes on"];
    const round = oracle("a round in grace, that seizing may wait for");
    const dead = oracle("the price is Dead");
    const diverged = oracle("the price is Diverged");
    const cases: [string, Partial<MarketSnapshot>, string[][]][] = [
      ["nothing while all is well", { round: 9n, recorded: recorded(9_000n) }, []],
      ["a dead price that is news", { priceState: "Dead", recorded: recorded(300n) }, [dead]],
      ["not what was recorded minutes ago", { priceState: "Dead", recorded: recorded(299n) }, []],
      ["a dead price twice an hour", { priceState: "Dead", recorded: recorded(1_800n, "Dead") }, [dead]],
      ["a dead price not more", { priceState: "Dead", recorded: recorded(1_799n, "Dead") }, []],
      [
        "diverged sources at the period, paused or not",
        {
          priceState: "Diverged",
          recorded: recorded(1_800n, "Diverged"),
          brake: { ...brake, level: "LiquidationsPaused" },
        },
        [diverged],
      ],
      [
        "diverged sources not within the period",
        { priceState: "Diverged", recorded: recorded(1_799n, "Diverged") },
        [],
      ],
      [
        "a single source",
        { priceState: "Single", recorded: recorded(300n) },
        [oracle("the price is Single")],
      ],
      ["a single source only once", { priceState: "Single", recorded: recorded(9_000n, "Single") }, []],
      ["the end of an outage", { recorded: recorded(300n, "Dead") }, [oracle("the price is Fresh again")]],
      ["a new round in grace", { brake, recorded: { ...recorded(300n), round: 4n } }, [round]],
      ["too soon for a sample", { brake, recorded: { ...recorded(299n), round: 4n } }, []],
      ["the same round in grace only once", { brake, recorded: recorded(1_800n) }, []],
      ["the same round of another phase", { brake, round: 2n ** 64n + 5n, recorded: recorded(1_800n) }, []],
      ["an oracle that keeps no record never", { priceState: "Dead", recorded: undefined }, []],
      [
        "a ramp on a dead price",
        { priceState: "Dead", recorded: recorded(1_800n, "Dead"), ...ramp(false) },
        [dead, halt],
      ],
      ["a ramp at once", { priceState: "Dead", recorded: recorded(0n), ...ramp(false) }, [halt]],
      ["a halted ramp no more", { priceState: "Dead", recorded: recorded(1n, "Dead"), ...ramp(true) }, []],
      ["a halted ramp on a price", ramp(true), [goOn]],
      ["a running ramp never", ramp(false), []],
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
      const { actions } = decideOn({ priceState: "Diverged", recorded: recorded(300n) });
      expect(actions.map(({ kind }) => kind)).to.deep.equal(["liquidate", "poke"]);
    });

    it("one oracle once, whatever markets it serves", () => {
      const one: MarketSnapshot = { ...market, ...CALM, priceState: "Dead", recorded: recorded(300n) };
      const markets = [one, { ...one, id: "mirror" }, { ...one, id: "other", oracle: "0xOther" }];
      const decisions = decide({ ...whole, markets }, parameters);
      expect(decisions.map(({ actions }) => actions.length)).to.deep.equal([1, 0, 1]);
    });
  });

  it("decides every market by itself", () => {
    const other = { ...market, ...CALM, id: "USDC/WETH" };
    const decisions = decide({ ...whole, markets: [other, market] }, parameters);
    expect(decisions.map(({ actions }) => actions.length)).to.deep.equal([0, 1]);
  });
});
