/** A deployed market whose runs start from the same snapshot, its people, and its calls. */
import type { NetworkConnection } from "hardhat/types/network";
import { toBeHex } from "ethers";

import { type MarketOptions, type TestMarket, deployMarket } from "../support/market.ts";
import { type Artifacts, FULL, TINY } from "../support/tiny.ts";
import { Chain } from "./chain.ts";
import { LENDERS, OWNERS, SUBS } from "./sequence.ts";

export interface Account {
  name: string;
  owner: string;
  sub: bigint;
}

export interface Addresses {
  vault: string;
  liquidator: string;
  insurance: string;
  brake: string;
  oracle: string;
  debt: string;
  collateral: string;
}

const PLENTY = 1n << 120n;
/** Far enough ahead for the chain's clock, which begins today. */
const START = BigInt(Date.UTC(2030, 0, 1)) / 1000n;

/** Every block has the same time, whenever it is mined: so a seed always gives the same run. */
async function atOneTime<T>({ provider }: NetworkConnection, work: () => Promise<T>): Promise<T> {
  const request = provider.request.bind(provider);
  provider.request = async (asked) => {
    if (asked.method === "eth_sendTransaction") {
      await request({ method: "evm_setNextBlockTimestamp", params: [toBeHex(START)] });
    }
    return (await request(asked)) as unknown;
  };
  try {
    return await work();
  } finally {
    provider.request = request;
  }
}

export class Venue {
  private constructor(
    readonly market: TestMarket,
    readonly chain: Chain,
    readonly addresses: Addresses,
    readonly accounts: readonly Account[],
    readonly lenders: ReadonlyMap<string, string>,
    readonly index: { indexOne: bigint; indexMin: bigint },
    readonly startedAt: bigint,
    private snapshot: { id: string; time: bigint },
  ) {}

  /** `tiny`: the contracts compiled with a tiny index, instead of those of the build. */
  static async open(options: MarketOptions, tiny?: Artifacts): Promise<Venue> {
    const connection = await Chain.create(tiny !== undefined);
    const market = await atOneTime(connection, async () => {
      const deployed = await deployMarket(connection, options, tiny);
      for (let i = 0; i <= 7; i++) {
        await deployed.fund(deployed.signer(i), { collateral: PLENTY, debt: PLENTY });
      }
      return deployed;
    });
    const addresses = {
      vault: await market.vault.getAddress(),
      liquidator: await market.liquidator.getAddress(),
      insurance: await market.insurance.getAddress(),
      brake: await market.brake.getAddress(),
      oracle: await market.oracle.getAddress(),
      debt: await market.debt.getAddress(),
      collateral: await market.collateral.getAddress(),
    };
    const accounts = OWNERS.flatMap((name, i) =>
      SUBS.map((sub) => ({ name: `${name}${sub}`, owner: market.signer(1 + i).address, sub })),
    );
    const lenders = new Map(LENDERS.map((name, i) => [name, market.signer(5 + i).address]));
    const chain = await Chain.takeOver(connection);
    return new Venue(
      market,
      chain,
      addresses,
      accounts,
      lenders,
      tiny === undefined ? FULL : TINY,
      START,
      await chain.snapshot(),
    );
  }

  /** Everything as it was when the venue opened. */
  async reset(): Promise<void> {
    await this.chain.restore(this.snapshot);
    this.snapshot = await this.chain.snapshot();
  }

  account(name: string): Account {
    const found = this.accounts.find((account) => account.name === name);
    if (found === undefined) throw new Error(`No account is called ${name}`);
    return found;
  }

  lender(name: string): string {
    const found = this.lenders.get(name);
    if (found === undefined) throw new Error(`No lender is called ${name}`);
    return found;
  }

  get keeper(): string {
    return this.market.governor.address;
  }
}
