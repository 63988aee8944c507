import { expect } from "chai";

import { type Venue, bestPurchase, bestRoutes, bestSale } from "@breakwater/sdk/chain";

/** Constant products: route "a" is the best for little, "e" for much; "x" takes nothing. */
const depths: Record<string, [rate: bigint, depth: bigint]> = {
  a: [105n, 1_000n],
  b: [100n, 1_000n],
  c: [90n, 1_000n],
  e: [100n, 1_000_000n],
};

function venue(): Venue & { asked: number } {
  return {
    asked: 0,
    routes: async () => Promise.resolve([...Object.keys(depths), "x"]),
    async quote(route, amount) {
      this.asked++;
      const [rate, depth] = depths[route] ?? [];
      return Promise.resolve(rate && depth && (amount * rate * depth) / (depth + amount));
    },
    async quoteCost(route, amount) {
      this.asked++;
      const [rate, depth] = depths[route] ?? [];
      return Promise.resolve(
        rate && depth && amount < rate * depth ? (amount * depth) / (rate * depth - amount) : undefined,
      );
    },
  };
}

describe("venue", () => {
  it("takes the route that brings most for all of it", async () => {
    const one = venue();
    const routes = await one.routes("", "");
    expect(await bestSale(one, routes, 10n, 1)).to.deep.equal({ path: "a", proceeds: 1_039n });
    expect((await bestSale(one, routes, 1_000n, 1))?.path).to.equal("e");
    expect(await bestSale(one, ["x"], 10n, 1)).to.be.undefined;
    expect(await bestSale(one, [], 10n, 1)).to.be.undefined;
  });

  it("buys where it costs least", async () => {
    const one = venue();
    const routes = await one.routes("", "");
    expect(await bestPurchase(one, routes, 1_039n, 1)).to.deep.equal({ path: "a", cost: 9n });
    expect((await bestPurchase(one, routes, 90_000n, 1))?.path).to.equal("e");
    expect(await bestPurchase(one, ["a", "x"], 105_000n, 1)).to.be.undefined;
  });

  it("swaps nothing for nothing, without asking", async () => {
    const one = venue();
    expect(await bestSale(one, ["a"], 0n, 1)).to.be.undefined;
    expect(await bestPurchase(one, ["a"], 0n, 1)).to.be.undefined;
    expect(one.asked).to.equal(0);
  });

  it("keeps of many routes those that are the best for some amount", async () => {
    const one = venue();
    expect(await bestRoutes(one, await one.routes("", ""), [1_000n, 100n, 10n], 1)).to.deep.equal(["e", "a"]);
    const before = one.asked;
    expect(await bestRoutes(one, ["a", "b", "x"], [10n], 1)).to.deep.equal(["a", "b", "x"]);
    expect(one.asked).to.equal(before);
  });
});
