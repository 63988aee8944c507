import { expect } from "chai";

import { type Stage, openStage, until } from "./stage.ts";

// Everything that goes wrong around a keeper: each time nothing is sent twice, no nonce is stuck, the keeper goes on
// without a person's doing, and says what happened. `npm run test:chaos`; npm test leaves it out.

(process.env.CHAOS === "1" ? describe : describe.skip)("chaos", function () {
  this.timeout(90_000);
  let stage: Stage;

  before(async () => {
    stage = await openStage();
  });
  after(async () => stage.close());
  beforeEach(async () => stage.reset());

  type Running = Awaited<ReturnType<Stage["keeper"]>>;

  /** The fall that makes the first position liquidatable, and the next ones. */
  const PRICES = ["1830", "1815", "1795", "1775"];
  const fall = async (times = 0) => stage.setPrice(PRICES[times]!);

  /** Every opportunity was taken once, and the next one is taken too. */
  async function expectRecovery(keeper: Running, falls = 1): Promise<void> {
    const before = await stage.liquidations();
    await keeper.sees("taken", () => true, 1);
    await stage.expectNothingStuck(stage.account.address);
    await fall(falls);
    await until("another liquidation", async () => (await stage.liquidations()) > before);
    await stage.expectNothingStuck(stage.account.address);
    await expectNoDoubleSend();
    expect(await keeper.metric("keeper_opportunities_taken_total")).to.be.greaterThan(0);
  }

  /** A second send would be a liquidation that found nothing, or a gap in the nonces. */
  async function expectNoDoubleSend(reverted = 0): Promise<void> {
    const sent = await stage.sent(stage.account.address);
    expect(sent.filter(({ status }) => status === 0)).to.have.lengthOf(reverted);
    const useful = sent.filter(({ status, logs }) => status === 1 && logs.length > 0);
    expect(useful).to.have.lengthOf(await stage.liquidations());
  }

  it("liquidates when nothing goes wrong", async () => {
    const keeper = await stage.keeper();
    await fall();
    await expectRecovery(keeper);
  });

  it("leaves an endpoint that stalls for the next one, and comes back", async () => {
    const { front, second } = stage;
    const keeper = await stage.keeper({ fronts: [front, second] });
    front.faults.stalls = true;
    await fall();
    await keeper.sees("endpoint", ({ endpoint, state }) => endpoint === front.host && state === "down");
    await keeper.sees("taken");
    front.heal();
    await keeper.sees("endpoint", ({ endpoint, state }) => endpoint === front.host && state === "up");
    expect(await keeper.metric("keeper_endpoint_changes_total", { state: "down" })).to.equal(1);
    await expectRecovery(keeper);
  });

  it("outlasts the stall of its only endpoint", async () => {
    const keeper = await stage.keeper();
    await keeper.sees("block");
    stage.front.faults.stalls = true;
    await fall();
    await keeper.sees("round failed");
    stage.front.heal();
    await keeper.sees("taken");
    expect(await keeper.metric("keeper_rounds_failed_total")).to.be.greaterThan(0);
    await expectRecovery(keeper);
  });
});
