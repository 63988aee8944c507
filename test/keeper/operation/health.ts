import { expect } from "chai";

import { InvalidConfig } from "../../../keeper/src/config.ts";
import { openHealth, serve } from "../../../keeper/src/operation/health.ts";
import { openMetrics } from "../../../keeper/src/operation/metrics.ts";

const block = (number: number) => ({ kind: "block", block: number, markets: 1, lagMs: 0, ms: 1 }) as const;
const balance = (wei: bigint) => ({ kind: "balance", account: "0x", wei }) as const;

describe("keeper health", () => {
  function open() {
    const clock = { ms: 0 };
    const health = openHealth({ maxSilence: 60, minBalance: 10n ** 17n }, () => clock.ms);
    const words = () => health.problems().map((problem) => problem.words);
    return { clock, health, words };
  }

  it("fails when no block was evaluated for too long, also from the start", () => {
    const { clock, health, words } = open();
    clock.ms = 59_999;
    expect(words()).to.deep.equal([]);
    clock.ms = 60_000;
    expect(words()).to.deep.equal(["no block was evaluated since the start, for 60 seconds"]);
    health.onEvent(block(5));
    expect(words()).to.deep.equal([]);
    clock.ms += 61_000;
    // A round that fails evaluates nothing.
    health.onEvent({ kind: "round failed", words: "no answer" });
    expect(words()).to.deep.equal(["no block was evaluated since block 5, for 61 seconds"]);
  });

  it("fails when the balance is low", () => {
    const { health, words } = open();
    health.onEvent(balance(10n ** 17n));
    expect(words()).to.deep.equal([]);
    health.onEvent(balance(10n ** 17n - 1n));
    expect(words()).to.deep.equal(["the balance of 0.099999999999999999 is below 0.1"]);
    health.onEvent(balance(10n ** 18n));
    expect(words()).to.deep.equal([]);
  });

  it("is served, with the metrics, to 127.0.0.1", async () => {
    const { clock, health } = open();
    const { registry, onEvent } = openMetrics({ isAlone: true });
    onEvent(block(9));
    const server = await serve({ host: "127.0.0.1", port: 0 }, registry, health);
    try {
      const get = async (path: string) => {
        const response = await fetch(server.url + path);
        return { status: response.status, text: await response.text() };
      };
      expect(await get("/health")).to.deep.equal({ status: 200, text: '{"healthy":true,"problems":[]}\n' });
      expect((await get("/metrics")).text).to.match(/^keeper_block_number 9$/m);
      clock.ms = 60_000;
      const ill = await get("/health?full");
      expect(ill.status).to.equal(503);
      expect(JSON.parse(ill.text)).to.deep.equal({
        healthy: false,
        problems: ["no block was evaluated since the start, for 60 seconds"],
      });
      expect((await get("//")).status).to.equal(404);
      const { port } = new URL(server.url);
      let refused: unknown;
      await serve({ host: "127.0.0.1", port: Number(port) }, registry, health).catch(
        (error: unknown) => (refused = error),
      );
      expect(refused)
        .to.be.instanceOf(InvalidConfig)
        .with.property("message")
        .that.matches(/^METRICS_PORT: .*EADDRINUSE/);
    } finally {
      await server.close();
    }
  });
});
