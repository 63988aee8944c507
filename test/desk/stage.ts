// A local chain with real Safes behind JSON-RPC, as signers meet it, and the desk's command lines in this process.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { config, network } from "hardhat";

import { writeAddresses } from "../../deploy/deploy.ts";
import { deployLocal } from "../../deploy/local.ts";
import { openArbitrageur } from "../../scripts/arbitrage.ts";
import { run } from "../../scripts/desk/commands.ts";
import { random } from "../../scripts/drill/book.ts";
import { fundLenders, openPositions, planOpenings } from "../../scripts/start/book.ts";

export type Stage = Awaited<ReturnType<typeof openStage>>;

export interface Answer {
  code: number;
  out: string;
  err: string;
}

/** Lenders, 12 positions, an arbitrageur who has traded once. */
export async function openStage() {
  const server = await network.createServer("default", "127.0.0.1", 0);
  const { port } = await server.listen();
  const rpc = `http://127.0.0.1:${port}`;
  const connection = await network.create({ network: "localhost", override: { url: rpc } });
  const stateId = `chain-31337-${port}`;
  const local = await deployLocal(connection, { stateId });
  const directory = await mkdtemp(join(tmpdir(), "breakwater-desk-"));
  const addresses = writeAddresses(local.addresses, directory);
  const [lender, trader, keeper, ...owners] = local.signers.others;
  await fundLenders(local, lender!);
  await openPositions(local, planOpenings(local, owners, 12, { from: 2, to: 4 }, random(1)));
  const arbitrageur = await openArbitrageur(local, trader!);
  await arbitrageur.trade();

  const { provider } = connection;
  const request = async (method: string, ...params: unknown[]): Promise<unknown> =>
    provider.request({ method, params });
  let snapshot = await request("evm_snapshot");

  return {
    local,
    rpc,
    addresses,
    directory,
    keeper: keeper!,
    owners,
    arbitrageur,
    now: async () => (await connection.ethers.provider.getBlock("latest"))!.timestamp,
    path: (name: string) => join(directory, name),
    /** Time passes, and the chain notices. */
    async pass(seconds: bigint | number) {
      await request("evm_increaseTime", Number(seconds));
      await request("evm_mine");
    },
    /** As it was when the stage was opened. */
    async reset() {
      await request("evm_revert", snapshot);
      snapshot = await request("evm_snapshot");
    },
    /** One command line of the desk on this chain. */
    async desk(...args: string[]): Promise<Answer> {
      const answer = { code: 0, out: "", err: "" };
      const output = {
        out: (text: string) => (answer.out += `${text}\n`),
        err: (text: string) => (answer.err += `${text}\n`),
      };
      const given = (name: string, value: string) => (args.includes(name) ? [] : [name, value]);
      const chain = args[0] === "verify" ? [] : given("--rpc", rpc);
      answer.code = await run([...args, ...chain, ...given("--addresses", addresses)], output);
      return answer;
    },
    async close() {
      await connection.close();
      await server.close();
      for (const path of [directory, join(config.paths.ignition, "deployments", stateId)]) {
        await rm(path, { recursive: true, force: true });
      }
    },
  };
}
