import { expect } from "chai";

import { random } from "../../scripts/drill/book.ts";
import { openDrill } from "../../scripts/start/drill.ts";
import { wobble } from "../../scripts/start/prices.ts";

const FEEDS = { "ETH/USD": { decimals: 8, price: "2000" }, "USDC/USD": { decimals: 8, price: "1" } };

describe("Prices of npm start", () => {
  function market() {
    const prices = wobble(FEEDS, random(1));
    const drill = openDrill(600);
    let block = 0;
    const step = () => {
      const { moved } = prices.step(drill.advance());
      drill.note({ block: ++block, time: block * 600, prices: moved });
      return { eth: Number(moved["ETH/USD"]), usdc: moved["USDC/USD"] };
    };
    return { drill, step };
  }

  it("fall in even steps while a drill runs, stand still, and then move about where it left them", () => {
    const { drill, step } = market();
    const { eth: before } = step();
    drill.start({ fall: 40, minutes: 40 });
    const during = Array.from({ length: 10 }, step);
    expect(during.map(({ eth }) => Math.round((100 * eth) / before))).to.deep.equal([
      ...[90, 80, 70, 60],
      ...Array<number>(6).fill(60),
    ]);
    expect(during.every(({ usdc }) => usdc === "1.0000")).to.equal(true);
    const state = drill.state();
    expect(state.phase).to.equal("over");
    expect(state.phase !== "none" && state.path.map(({ block }) => block)).to.deep.equal(
      Array.from({ length: 11 }, (_, at) => at + 1),
    );
    const after = Array.from({ length: 26 }, () => step().eth);
    expect(Math.min(...after)).to.be.above(0.6 * 2_000 * 0.83);
    expect(Math.max(...after)).to.be.below(0.6 * 2_000 * 1.17);
    expect(new Set(after).size).to.be.above(20);
  });

  it("take one drill at a time, and leave something of the prices", () => {
    const { drill, step } = market();
    drill.start({ fall: 90, minutes: 10 });
    expect(() => drill.start({ fall: 10, minutes: 10 })).to.throw("A drill is running");
    for (let count = 0; count < 7; count++) step();
    expect(drill.state().phase).to.equal("over");
    expect(() => drill.start({ fall: 90, minutes: 10 })).to.throw("too little of the prices");
    drill.start({ fall: 50, minutes: 10 });
    expect(drill.state().phase).to.equal("falling");
  });
});
