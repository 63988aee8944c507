import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "chai";

import { writeAddresses } from "../../deploy/deploy.ts";
import { type Index, indexed, startIndex } from "../../scripts/index/ponder.ts";
import { openChain } from "../../scripts/index/scene.ts";
import { freePort } from "../support/port.ts";
import { type Stage, e2e, openStage } from "./stage.ts";

e2e("page: history with an index", function () {
  this.timeout(240_000);
  let stage: Stage;
  let index: Index;
  let directory: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "breakwater-history-"));
    stage = await openStage({
      positions: 6,
      async index(local, rpc) {
        const chain = await openChain({ rpc, addresses: writeAddresses(local.addresses, directory) });
        const settings = { sampleBlocks: 50, pollMs: 200, logLevel: "warn" } as const;
        index = await startIndex(chain, { ...settings, rpc, directory, port: await freePort() });
        await indexed(index, await chain.provider.getBlockNumber());
        return index.url;
      },
    });
  });
  after(async () => {
    await index.stop();
    await stage.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** The history as the page shows it, and what its server answered when it asked for logs. */
  const rowsOf = async (owner: string) => {
    const page = await stage.visit(`position?address=${owner}`);
    const answers: number[] = [];
    page.on("response", (response) => {
      if (response.url().includes("/index/logs")) answers.push(response.status());
    });
    await page.reload();
    await page.getByText("Opened", { exact: false }).first().waitFor();
    const rows = await page.getByRole("region", { name: "History" }).textContent();
    await page.context().close();
    return { rows, answers };
  };

  it("takes the events from the index, and from the node when that has gone", async () => {
    const owner = stage.local.signers.others[4]!.address;
    const before = await rowsOf(owner);
    expect(before.answers).to.include(200);
    await index.stop();
    const after = await rowsOf(owner);
    expect(after.answers).to.include(502);
    expect(after.rows).to.equal(before.rows);
  });
});
