import { expect } from "chai";
import { network } from "hardhat";
import type { HardhatEthersSigner } from "@nomicfoundation/hardhat-ethers/types";
import {
  type AddressLike,
  type BaseContract,
  type ContractTransactionReceipt,
  MaxUint256,
  type Overrides,
  ZeroAddress,
} from "ethers";

import { encodePath } from "@breakwater/sdk/chain";

import { deployLocal, type Local, type LocalMarket } from "../../deploy/local.ts";
import { random } from "../../scripts/drill/book.ts";
import { fundLenders } from "../../scripts/start/book.ts";
import { PermitToken__factory } from "../../sdk/src/types/index.ts";
import type { ILeverageRouter, SwapEvent } from "../../sdk/src/types/LeverageRouter.ts";
import { ETH, MIN_INT256, USDC } from "../support/market.ts";
import { tradeTo } from "../support/uniswap.ts";

const connection = await network.create();
const { ethers, networkHelpers } = connection;

const ALL = MIN_INT256;
const FOREVER = 2n ** 40n;
const NO_PERMIT = { value: 0n, deadline: 0n, v: 0, r: ethers.ZeroHash, s: ethers.ZeroHash };

/** The demonstration markets: WETH/USDC at 2,000 in a pool of 25 million, lenders of 20 million each. */
async function fixture() {
  const local = await deployLocal(connection);
  const [lender, trader] = local.signers.others;
  await fundLenders(local, lender!);
  return { local, trader: trader! };
}

interface Options {
  legs: { market: LocalMarket | string; sub?: bigint; collateral: bigint; debt: bigint }[];
  /** Sold and bought token, and what lies between. */
  route?: string[];
  exactOut?: boolean;
  limit?: bigint;
  pay?: { token: string; amount: bigint };
  value?: bigint;
  more?: Partial<ILeverageRouter.TradeStruct>;
  permit?: ILeverageRouter.PermitStruct;
  authorisations?: ILeverageRouter.AuthorisationStruct[];
}

describe("LeverageRouter", function () {
  this.timeout(300_000);
  let local: Local;
  let trader: HardhatEthersSigner;
  let router: Local["contracts"]["leverageRouter"];
  let long: LocalMarket;
  let short: LocalMarket;
  let WETH: string;
  let USD: string;

  beforeEach(async () => {
    ({ local, trader } = await networkHelpers.loadFixture(fixture));
    router = local.contracts.leverageRouter;
    [long, short] = [local.markets["weth-usdc"]!, local.markets["usdc-weth"]!];
    [WETH, USD] = [local.addresses.tokens["WETH"]!, local.addresses.tokens["USDC"]!];
    for (const { vault } of Object.values(local.markets)) {
      await vault.connect(trader).setOperator(router, true);
    }
    for (const token of Object.values(local.tokens)) await token.connect(trader).approve(router, MaxUint256);
    await local.tokens["WETH"]!.mint(trader, 1_000n * ETH);
    await local.tokens["USDC"]!.mint(trader, 2_000_000n * USDC);
  });

  const tokenOf = (address: string) => Object.values(local.tokens).find(({ target }) => target === address)!;
  const feeOf = (a: string, b: string) => ([a, b].includes(local.addresses.tokens["WBTC"]!) ? 3_000n : 500n);
  const balanceOf = async (token: string, of: AddressLike = trader) => tokenOf(token).balanceOf(of);
  const positionOf = async (market: LocalMarket, sub = 0n) =>
    local.contracts.lens.position(market.vault, trader, sub);

  const tradeOf = async ({ legs, route, exactOut = false, limit, pay, more }: Options) => {
    const way = exactOut ? route?.toReversed() : route;
    const fees = way?.slice(1).map((token, index) => feeOf(way[index]!, token));
    return {
      owner: trader.address,
      legs: await Promise.all(
        legs.map(async ({ market, sub = 0n, collateral, debt }) => ({
          market: typeof market === "string" ? market : await market.vault.getAddress(),
          sub,
          collateral,
          debt,
        })),
      ),
      path: way && fees ? encodePath(way, fees) : "0x",
      exactOut,
      limit: limit ?? (exactOut ? MaxUint256 : 0n),
      token: pay?.token ?? ZeroAddress,
      amount: pay?.amount ?? 0n,
      receiver: trader.address,
      unwrap: false,
      deadline: FOREVER,
      ...more,
    };
  };

  const send = async (options: Options, from = trader, overrides: Overrides = {}) =>
    router
      .connect(from)
      .trade(await tradeOf(options), options.authorisations ?? [], options.permit ?? NO_PERMIT, {
        value: options.value ?? 0n,
        ...overrides,
      });

  const expectEmpty = async () => {
    expect(await ethers.provider.getBalance(router)).to.equal(0n);
    const spenders = [local.contracts.swapRouter, ...Object.values(local.markets).map(({ vault }) => vault)];
    for (const token of Object.values(local.tokens)) {
      expect(await token.balanceOf(router)).to.equal(0n);
      for (const spender of spenders) expect(await token.allowance(router, spender)).to.equal(0n);
    }
  };

  /** Sends it, and finds the router empty; what was swapped. */
  const trade = async (options: Options) => {
    const receipt = (await (await send(options)).wait())!;
    await expectEmpty();
    const swap = swapIn(receipt);
    return { receipt, sold: swap?.args.sold ?? 0n, bought: swap?.args.bought ?? 0n };
  };
  const swapIn = (receipt: ContractTransactionReceipt) =>
    receipt.logs
      .filter(({ address }) => address === router.target)
      .map((log) => router.interface.parseLog(log) as unknown as { args: SwapEvent.OutputObject })
      .at(0);

  /** 10 WETH of one's own, 40,000 USDC borrowed: leverage 3. */
  const openLong = async (more: Partial<Options> = {}) =>
    trade({
      legs: [{ market: long, collateral: 29n * ETH, debt: 40_000n * USDC }],
      route: [USD, WETH],
      limit: 19n * ETH,
      pay: { token: WETH, amount: 10n * ETH },
      ...more,
    });
  const closeLong = (): Options => ({
    legs: [{ market: long, collateral: ALL, debt: ALL }],
    route: [WETH, USD],
    exactOut: true,
    limit: 21n * ETH,
  });
  /** 10,000 USDC of one's own, 10 WETH borrowed and sold: leverage 3. */
  const openShort = async (more: Partial<Options> = {}) =>
    trade({
      legs: [{ market: short, collateral: 29_500n * USDC, debt: 10n * ETH }],
      route: [WETH, USD],
      limit: 19_500n * USDC,
      pay: { token: USD, amount: 10_000n * USDC },
      ...more,
    });

  describe("one leg", () => {
    it("opens a long to the unit, and gives back what the swap brought above it", async () => {
      const before = await balanceOf(WETH);
      const { sold, bought } = await openLong();
      expect(sold).to.equal(40_000n * USDC);
      expect(bought).to.be.within((199n * ETH) / 10n, 20n * ETH);
      expect(before - (await balanceOf(WETH))).to.equal(29n * ETH - bought);
      const { debt, collateral, surplus, liquidatable } = await positionOf(long);
      expect(debt).to.equal(40_000n * USDC);
      expect(collateral + surplus).to.be.within(29n * ETH - 1n, 29n * ETH);
      expect(liquidatable).to.equal(false);
    });

    it("opens with ether and closes to ether: no wrapped ether, no dust of the debt", async () => {
      const usdc = await balanceOf(USD);
      await openLong({ pay: undefined, value: 10n * ETH, more: { unwrap: true } });
      const [ether, weth] = [await ethers.provider.getBalance(trader), await balanceOf(WETH)];
      const { receipt, sold } = await trade({ ...closeLong(), more: { unwrap: true } });
      const back = (await ethers.provider.getBalance(trader)) - ether + receipt.fee;
      expect(back).to.be.within(29n * ETH - sold - 1n, 29n * ETH - sold);
      expect(await balanceOf(WETH)).to.equal(weth);
      expect(await balanceOf(USD)).to.equal(usdc);
      const { debt, collateral, surplus } = await positionOf(long);
      expect([debt, collateral, surplus]).to.deep.equal([0n, 0n, 0n]);
    });

    it("opens a long with the debt token, and closes it into that by selling everything", async () => {
      const before = await balanceOf(USD);
      await openLong({
        legs: [{ market: long, collateral: 29n * ETH, debt: 40_000n * USDC }],
        limit: 29n * ETH,
        pay: { token: USD, amount: 20_000n * USDC },
      });
      await trade({
        legs: [{ market: long, collateral: ALL, debt: ALL }],
        route: [WETH, USD],
        limit: 57_000n * USDC,
      });
      expect((await positionOf(long)).debt).to.equal(0n);
      expect(before - (await balanceOf(USD))).to.be.within(100n * USDC, 200n * USDC + 2_000n * USDC);
    });

    it("opens and closes a short", async () => {
      const [weth, usdc] = [await balanceOf(WETH), await balanceOf(USD)];
      const { bought } = await openShort();
      expect(bought).to.be.within(19_900n * USDC, 20_000n * USDC);
      expect((await positionOf(short)).debt).to.equal(10n * ETH);
      const { sold } = await trade({
        legs: [{ market: short, collateral: ALL, debt: ALL }],
        route: [USD, WETH],
        exactOut: true,
        limit: 20_500n * USDC,
      });
      expect(await balanceOf(WETH)).to.equal(weth);
      expect(usdc - (await balanceOf(USD))).to.be.within(sold - bought, sold - bought + 1n);
      expect(sold - bought).to.be.lessThan(50n * USDC);
    });

    it("increases and decreases to the unit", async () => {
      await openLong();
      const weth = await balanceOf(WETH);
      const more = await trade({
        legs: [{ market: long, collateral: 4n * ETH, debt: 10_000n * USDC }],
        route: [USD, WETH],
        limit: 4n * ETH,
      });
      expect((await balanceOf(WETH)) - weth).to.equal(more.bought - 4n * ETH);
      const usdc = await balanceOf(USD);
      const { bought } = await trade({
        legs: [{ market: long, collateral: -10n * ETH, debt: -19_000n * USDC }],
        route: [WETH, USD],
        limit: 19_000n * USDC,
      });
      expect((await balanceOf(USD)) - usdc).to.equal(bought - 19_000n * USDC);
      const { debt, collateral, surplus } = await positionOf(long);
      expect(debt).to.be.within(31_000n * USDC, 31_000n * USDC + USDC); // some seconds' interest
      expect(collateral + surplus).to.be.within(23n * ETH - 4n, 23n * ETH); // a unit a change
    });

    it("needs no price to close", async () => {
      await openLong();
      await networkHelpers.time.increase(10n * 86_400n); // every feed is stale
      await expect(
        send({
          legs: [{ market: long, collateral: 4n * ETH, debt: 8_000n * USDC }],
          route: [USD, WETH],
        }),
      ).to.be.revertedWithCustomError(long.vault, "PriceNotFresh");
      await trade(closeLong());
      expect((await positionOf(long)).debt).to.equal(0n);
    });
  });

  describe("many legs", () => {
    it("flips a long into a short with one swap", async () => {
      await openLong();
      const { debt } = await positionOf(long);
      const usdc = await balanceOf(USD);
      const { sold, bought } = await trade({
        legs: [
          { market: long, collateral: ALL, debt: ALL },
          { market: short, collateral: 27_000n * USDC, debt: 10n * ETH },
        ],
        route: [WETH, USD],
        limit: 67_500n * USDC,
      });
      expect(sold).to.be.within(39n * ETH - 1n, 39n * ETH);
      expect((await positionOf(long)).debt).to.equal(0n);
      expect((await positionOf(short)).debt).to.equal(10n * ETH);
      const left = (await balanceOf(USD)) - usdc;
      expect(bought - 27_000n * USDC - debt - left).to.be.within(0n, USDC); // some seconds' interest
    });

    it("moves a position to another market", async () => {
      await openLong();
      const wbtc = local.markets["wbtc-usdc"]!;
      const WBTC = local.addresses.tokens["WBTC"]!;
      await trade({
        legs: [
          { market: long, collateral: ALL, debt: ALL },
          { market: wbtc, collateral: 140_000_000n, debt: 40_001n * USDC },
        ],
        route: [WETH, USD, WBTC],
        exactOut: true,
        limit: 29n * ETH,
      });
      expect((await positionOf(long)).debt).to.equal(0n);
      const { debt, collateral, surplus } = await positionOf(wbtc);
      expect(debt).to.equal(40_001n * USDC);
      expect(collateral + surplus).to.be.within(139_999_999n, 140_000_000n);
    });

    it("moves debt and collateral between markets of one pair without a swap", async () => {
      // Two positions that mirror each other in size: one's collateral pays the other's debt.
      await openLong();
      await openShort();
      const { debt: usdc } = await positionOf(long);
      const [weth, dollars] = [await balanceOf(WETH), await balanceOf(USD)];
      await trade({
        legs: [
          { market: long, collateral: ALL, debt: ALL },
          { market: short, collateral: ALL, debt: ALL },
        ],
        pay: { token: USD, amount: 20_000n * USDC },
      });
      expect(29n * ETH - 10n * ETH - ((await balanceOf(WETH)) - weth)).to.be.within(0n, ETH / 10_000n);
      expect(29_500n * USDC - usdc - ((await balanceOf(USD)) - dollars)).to.be.within(0n, USDC);
    });
  });

  it("gives back what no market of the trade knows: bought, paid or sent along", async () => {
    const WBTC = local.addresses.tokens["WBTC"]!;
    await local.tokens["WBTC"]!.mint(trader, 300_000_000n);
    await trade({
      legs: [{ market: long, collateral: 2n * ETH, debt: 0n }],
      value: 2n * ETH,
      pay: { token: WBTC, amount: 100_000_000n },
    });
    expect(await balanceOf(WBTC)).to.equal(300_000_000n);
    const { bought } = await trade({
      legs: [{ market: long, collateral: -ETH, debt: 0n }],
      route: [WETH, USD, WBTC],
    });
    expect(bought).to.be.greaterThan(4_900_000n);
    expect(await balanceOf(WBTC)).to.equal(300_000_000n + bought);
    const weth = await balanceOf(WETH);
    await trade({
      legs: [{ market: local.markets["wbtc-usdc"]!, collateral: 100_000_000n, debt: 0n }],
      value: ETH,
      pay: { token: WBTC, amount: 100_000_000n },
    });
    expect(await balanceOf(WETH)).to.equal(weth + ETH);
  });

  describe("rights", () => {
    const permitOf = async (value: bigint, deadline: bigint, signer = trader) => {
      const usdc = PermitToken__factory.connect(USD, trader);
      const signature = ethers.Signature.from(
        await signer.signTypedData(
          {
            name: await usdc.name(),
            version: "1",
            chainId: (await ethers.provider.getNetwork()).chainId,
            verifyingContract: USD,
          },
          {
            Permit: ["owner", "spender"]
              .map((name) => ({ name, type: "address" }))
              .concat(["value", "nonce", "deadline"].map((name) => ({ name, type: "uint256" }))),
          },
          {
            owner: trader.address,
            spender: router.target,
            value,
            nonce: await usdc.nonces(trader),
            deadline,
          },
        ),
      );
      return { value, deadline, v: signature.v, r: signature.r, s: signature.s };
    };
    const authorisationOf = async (market: LocalMarket, deadline: bigint) => {
      const verifyingContract = await market.vault.getAddress();
      const { chainId } = await ethers.provider.getNetwork();
      const nonce = await market.vault.nonces(trader);
      return {
        market: verifyingContract,
        deadline,
        signature: await trader.signTypedData(
          { name: "Breakwater", version: "1", chainId, verifyingContract },
          {
            SetOperator: [
              { name: "owner", type: "address" },
              { name: "operator", type: "address" },
              { name: "approved", type: "bool" },
              { name: "nonce", type: "uint256" },
              { name: "deadline", type: "uint256" },
            ],
          },
          { owner: trader.address, operator: router.target, approved: true, nonce, deadline },
        ),
      };
    };

    beforeEach(async () => {
      for (const { vault } of Object.values(local.markets)) {
        await vault.connect(trader).setOperator(router, false);
      }
      for (const token of Object.values(local.tokens)) await token.connect(trader).approve(router, 0n);
    });

    it("needs one transaction from nothing: a permit and an authorisation, both signed", async () => {
      await openShort({
        permit: await permitOf(10_000n * USDC, FOREVER),
        authorisations: [await authorisationOf(short, FOREVER)],
      });
      expect((await positionOf(short)).debt).to.equal(10n * ETH);
      expect(await local.tokens["USDC"]!.allowance(trader, router)).to.equal(0n);
    });

    it("does not mind that somebody used the signatures before", async () => {
      const permit = await permitOf(10_000n * USDC, FOREVER);
      const authorisation = await authorisationOf(short, FOREVER);
      const { v, r, s } = permit;
      const other = local.signers.others[5]!;
      const usdc = PermitToken__factory.connect(USD, other);
      await usdc.permit(trader, router, permit.value, permit.deadline, v, r, s);
      await short.vault
        .connect(other)
        .setOperatorBySignature(trader, router, true, FOREVER, authorisation.signature);
      await openShort({ permit, authorisations: [authorisation] });
      expect((await positionOf(short)).debt).to.equal(10n * ETH);
    });

    it("refuses an expired permit, and one that is not the caller's", async () => {
      const authorisations = [await authorisationOf(short, FOREVER)];
      await expect(openShort({ permit: await permitOf(10_000n * USDC, 1n), authorisations }))
        .to.be.revertedWithCustomError(router, "PermitExpired")
        .withArgs(1n, (timestamp: bigint) => timestamp > 1n);
      const forged = await permitOf(10_000n * USDC, FOREVER, local.signers.others[5]);
      await expect(openShort({ permit: forged, authorisations }))
        .to.be.revertedWithCustomError(router, "InsufficientAllowance")
        .withArgs(USD, 0n, 10_000n * USDC);
    });

    it("refuses an expired authorisation, and to act without one", async () => {
      await local.tokens["USDC"]!.connect(trader).approve(router, MaxUint256);
      await expect(openShort({ authorisations: [await authorisationOf(short, 1n)] }))
        .to.be.revertedWithCustomError(short.vault, "SignatureExpired")
        .withArgs(1n);
      await expect(openShort())
        .to.be.revertedWithCustomError(short.vault, "NotAuthorized")
        .withArgs(router.target, trader.address);
    });

    it("serves smart accounts: approve, setOperator and trade in one transaction of theirs", async () => {
      const account = await ethers.deployContract("FalseMarket");
      await local.tokens["USDC"]!.mint(account, 10_000n * USDC);
      const owner = await account.getAddress();
      const options: Options = {
        legs: [{ market: short, collateral: 29_500n * USDC, debt: 10n * ETH }],
        route: [WETH, USD],
        pay: { token: USD, amount: 10_000n * USDC },
        more: { owner, receiver: owner },
      };
      const encode = router.interface.encodeFunctionData("trade", [await tradeOf(options), [], NO_PERMIT]);
      const token = local.tokens["USDC"]!.interface;
      await account.getFunction("make")([
        { target: USD, data: token.encodeFunctionData("approve", [router.target, 10_000n * USDC]) },
        {
          target: short.vault,
          data: short.vault.interface.encodeFunctionData("setOperator", [router.target, true]),
        },
        { target: router, data: encode },
      ]);
      expect((await local.contracts.lens.position(short.vault, owner, 0n)).debt).to.equal(10n * ETH);
      await expectEmpty();
    });

    it("acts for nobody but its caller and those whose operator the caller is", async () => {
      const other = local.signers.others[5]!;
      await long.vault.connect(trader).setOperator(router, true);
      await local.tokens["WETH"]!.connect(trader).approve(router, MaxUint256);
      await openLong();
      const steal = { ...closeLong(), more: { receiver: other.address } };
      await expect(send(steal, other))
        .to.be.revertedWithCustomError(router, "NotOwner")
        .withArgs(long.vault.target, other.address, trader.address);
      // Nor behind the back of a market that calls everybody everybody's operator.
      const lax = await (await ethers.deployContract("FalseVault", [WETH, USD, 1n])).getAddress();
      await expect(
        send({ ...steal, legs: [{ market: lax, collateral: 0n, debt: 0n }, ...steal.legs] }, other),
      )
        .to.be.revertedWithCustomError(router, "NotOwner")
        .withArgs(long.vault.target, other.address, trader.address);
      await long.vault.connect(trader).setOperator(other, true);
      await send(steal, other);
      expect(await balanceOf(WETH, other)).to.be.greaterThan(8n * ETH);
      // An operator spends its own tokens, never the owner's.
      const open: Options = {
        legs: [{ market: long, collateral: 29n * ETH, debt: 40_000n * USDC }],
        route: [USD, WETH],
        pay: { token: WETH, amount: 10n * ETH },
      };
      await expect(send(open, other))
        .to.be.revertedWithCustomError(router, "InsufficientAllowance")
        .withArgs(WETH, 0n, 10n * ETH);
    });
  });

  describe("refuses", () => {
    /** Nothing of the trader's has moved. */
    const refused = async (attempt: () => Promise<unknown>, contract: BaseContract, error: string) => {
      const balances = async () => [
        await balanceOf(WETH),
        await balanceOf(USD),
        (await positionOf(long)).debt,
      ];
      const before = await balances();
      await expect(attempt()).to.be.revertedWithCustomError(contract, error);
      expect(await balances()).to.deep.equal(before);
      await expectEmpty();
    };

    it("leverage beyond the maximum", async () => {
      // 10 WETH and 100,000 USDC borrowed: leverage 6, LTV 83 %
      await refused(
        () => openLong({ legs: [{ market: long, collateral: 59n * ETH, debt: 100_000n * USDC }], limit: 0n }),
        long.vault,
        "LtvTooHigh",
      );
    });

    it("a swap beyond the limit, either way", async () => {
      await expect(openLong({ limit: 20n * ETH }))
        .to.be.revertedWithCustomError(router, "SlippageExceeded")
        .withArgs((bought: bigint) => bought > 19n * ETH && bought < 20n * ETH, 20n * ETH);
      await openLong();
      await expect(send({ ...closeLong(), limit: 19n * ETH }))
        .to.be.revertedWithCustomError(router, "SlippageExceeded")
        .withArgs((sold: bigint) => sold > 19n * ETH && sold < 21n * ETH, 19n * ETH);
      await refused(() => send({ ...closeLong(), limit: 19n * ETH }), router, "SlippageExceeded");
    });

    it("a swap that brings too little for the position", async () => {
      const legs = [{ market: long, collateral: 30n * ETH, debt: 40_000n * USDC }];
      await expect(openLong({ legs, limit: 0n }))
        .to.be.revertedWithCustomError(router, "InsufficientPayment")
        .withArgs(WETH, (held: bigint) => held > 29n * ETH && held < 30n * ETH, 30n * ETH);
      await refused(() => openLong({ legs, limit: 0n }), router, "InsufficientPayment");
    });

    it("a trade after its deadline", async () => {
      await expect(openLong({ more: { deadline: 1n } }))
        .to.be.revertedWithCustomError(router, "DeadlineExpired")
        .withArgs(1n, (timestamp: bigint) => timestamp > 1n);
      await refused(() => openLong({ more: { deadline: 1n } }), router, "DeadlineExpired");
    });

    it("more than the market has to lend", async () => {
      await local.tokens["WETH"]!.mint(trader, 20_000n * ETH);
      await expect(
        send({
          legs: [{ market: long, collateral: 20_000n * ETH, debt: 20_000_001n * USDC }],
          route: [USD, WETH],
          pay: { token: WETH, amount: 20_000n * ETH },
        }),
      )
        .to.be.revertedWithCustomError(long.vault, "InsufficientCash")
        .withArgs(20_000_001n * USDC, 20_000_000n * USDC);
    });

    it("more than the pool holds, whether it sells or buys, and a pool that is not there", async () => {
      // The pool gives its WETH for a price without end; a narrow one gives all it has and leaves the rest.
      await openLong();
      const [token0, token1] = BigInt(WETH) < BigInt(USD) ? [WETH, USD] : [USD, WETH];
      const { positionManager } = local.contracts;
      const { tick, sqrtPriceX96 } = await local.pools["WETH/USDC"]!.slot0();
      await positionManager.createAndInitializePoolIfNecessary(token0, token1, 3_000n, sqrtPriceX96);
      for (const token of [WETH, USD]) {
        await tokenOf(token).mint(local.signers.deployer, 1_000_000n * ETH);
        await tokenOf(token).approve(positionManager, MaxUint256);
      }
      const near = Math.floor(Number(tick) / 60) * 60;
      await positionManager.mint({
        token0,
        token1,
        fee: 3_000n,
        tickLower: near - 60,
        tickUpper: near + 60,
        amount0Desired: token0 === WETH ? ETH : 2_000n * USDC,
        amount1Desired: token1 === WETH ? ETH : 2_000n * USDC,
        amount0Min: 0n,
        amount1Min: 0n,
        recipient: local.signers.deployer,
        deadline: FOREVER,
      });
      const shallow = encodePath([WETH, USD], [3_000n]);
      const reversed = encodePath([USD, WETH], [3_000n]);
      await expect(send({ ...closeLong(), more: { path: reversed } }))
        .to.be.revertedWithCustomError(router, "InsufficientLiquidity")
        .withArgs(
          WETH,
          USD,
          (held: bigint) => held <= 29n * ETH,
          (owed: bigint) => owed >= 40_000n * USDC,
        );
      const sell = { ...closeLong(), exactOut: false, limit: 40_000n * USDC };
      await expect(send({ ...sell, more: { path: shallow } }))
        .to.be.revertedWithCustomError(router, "InsufficientLiquidity")
        .withArgs(WETH, USD, (held: bigint) => held <= 29n * ETH, 40_000n * USDC);
      await expect(send({ ...sell, more: { path: encodePath([WETH, USD], [100n]) } }))
        .to.be.revertedWithCustomError(router, "InsufficientLiquidity")
        .withArgs(WETH, USD, (held: bigint) => held <= 29n * ETH, 40_000n * USDC);
      await refused(() => send({ ...sell, more: { path: shallow } }), router, "InsufficientLiquidity");
    });

    it("what is no path, and a receiver that is nobody, the router itself, or takes no ether", async () => {
      for (const path of [WETH, ethers.concat([WETH, "0x0001f400", USD])]) {
        await refused(() => openLong({ more: { path } }), router, "InvalidPath");
      }
      for (const receiver of [ZeroAddress, router.target as string]) {
        await refused(() => openLong({ more: { receiver } }), router, "InvalidReceiver");
      }
      const receiver = long.oracle.target as string;
      await expect(openLong({ more: { receiver, unwrap: true } }))
        .to.be.revertedWithCustomError(router, "EtherRefused")
        .withArgs(receiver);
      await expect(trader.sendTransaction({ to: router.target, value: 1n }))
        .to.be.revertedWithCustomError(router, "UnexpectedEther")
        .withArgs(trader.address);
    });

    it("callbacks that are not due, changed, or come twice, and a market that makes none", async () => {
      const falseVault = async (times: bigint) =>
        ethers.deployContract("FalseVault", [WETH, USD, times]) as unknown as Promise<LocalMarket["vault"]>;
      const data = ethers.AbiCoder.defaultAbiCoder().encode(
        [router.interface.getFunction("trade").inputs[0]!, "uint256", "uint256"],
        [await tradeOf(closeLong()), 0n, 0n],
      );
      await expect(router.connect(trader).onAdjust(0n, 0n, data))
        .to.be.revertedWithCustomError(router, "UnexpectedCallback")
        .withArgs(trader.address);

      await openLong();
      for (const [times, substitute, error] of [
        [0n, "0x", "CallbackMissing"],
        [2n, "0x", "UnexpectedCallback"],
        [1n, data, "UnexpectedCallback"], // the trader's position, for whoever named this market
      ] as const) {
        const market = await falseVault(times);
        await (market as unknown as { substitute(data: string): Promise<unknown> }).substitute(substitute);
        const attempt = send(
          { legs: [{ market: await market.getAddress(), collateral: 0n, debt: 0n }] },
          local.signers.others[5],
        );
        await expect(attempt).to.be.revertedWithCustomError(router, error);
      }
      // One that keeps what it was approved loses it again.
      const idle = await falseVault(1n);
      await trade({
        legs: [{ market: await idle.getAddress(), collateral: ETH, debt: 0n }],
        pay: { token: WETH, amount: ETH },
      });
      expect(await local.tokens["WETH"]!.allowance(router, idle)).to.equal(0n);
    });
  });

  it("L1 costs a random trader no more than fees and the stated slippage, there and back", async () => {
    const next = random(20_261_121);
    const between = (from: number, to: number) => from + (to - from) * next();
    const pool = local.pools["WETH/USDC"]!;
    const { sqrtPriceX96: fair } = await pool.slot0();
    /** Somebody else is in the pool before. */
    const movePool = async (percent: number) => {
      const { swapRouter, uniswapFactory, positionManager } = local.contracts;
      const uniswap = {
        signer: local.signers.deployer,
        router: swapRouter,
        factory: uniswapFactory,
        positions: positionManager,
      };
      await tradeTo(uniswap, pool, (fair * BigInt(Math.round(1e6 + percent * 5e3))) / 1_000_000n);
    };
    let [refusals, refusedCloses] = [0, 0];
    for (let round = 0; round < 25; round++) {
      const isLong = next() < 0.5;
      const [market, margin, borrowed] = isLong ? [long, WETH, USD] : [short, USD, WETH];
      const leverage = between(1.1, 5.6);
      const equity = between(500, 50_000) * (round % 5 === 0 ? 10 : 1); // dollars
      const slippage = between(0.0005, 0.02);
      const inUsd = (token: string, dollars: number) =>
        token === WETH
          ? (BigInt(Math.floor(dollars * 1e6)) * ETH) / 2_000_000_000n
          : BigInt(Math.floor(dollars * 1e6));
      const amount = inUsd(margin, equity);
      const debt = inUsd(borrowed, equity * (leverage - 1));
      const limit = inUsd(margin, equity * (leverage - 1) * (1 - slippage));
      const [marginBefore, otherBefore] = [await balanceOf(margin), await balanceOf(borrowed)];
      const isMoved = next() < 0.4;
      if (isMoved) await movePool(between(-1, 1));

      const open = {
        legs: [{ market, sub: BigInt(round), collateral: amount + limit, debt }],
        route: [borrowed, margin],
        limit,
        pay: { token: margin, amount },
      };
      // Below the limit nothing happens at all.
      const opened = await trade(open).catch((error: unknown) => {
        expect(String(error)).to.match(/SlippageExceeded|LtvTooHigh/);
        return undefined;
      });
      if (!opened) {
        refusals++;
        expect(await balanceOf(margin)).to.equal(marginBefore);
        await movePool(0);
        continue;
      }
      if (next() < 0.3) await networkHelpers.time.increase(60);
      const most = inUsd(margin, equity * (leverage - 1) * (1 + slippage));
      const close = {
        legs: [{ market, sub: BigInt(round), collateral: ALL, debt: ALL }],
        route: [margin, borrowed],
        exactOut: true,
        limit: most,
      };
      if (isMoved) await movePool(between(-1, 1));
      const closed = await trade(close).catch(async (error: unknown) => {
        expect(String(error)).to.match(/SlippageExceeded/);
        refusedCloses++;
        await movePool(0);
        return trade(close);
      });
      const cost = marginBefore - (await balanceOf(margin));
      expect(await balanceOf(borrowed)).to.equal(otherBefore);
      // Pool fee and impact are inside the slippage that was stated; interest of a minute is in what was sold.
      expect(cost).to.be.lessThanOrEqual(most - limit);
      expect(cost).to.be.within(closed.sold - opened.bought, closed.sold - opened.bought + 2n);
      await movePool(0);
      if (isMoved) continue;
      // Both ways on one curve cost two fees and what interest adds to what has to be bought back.
      const fees = (opened.bought * 2n * 500n) / 1_000_000n;
      expect(cost).to.be.lessThanOrEqual(fees + opened.bought / 1_000n);
    }
    expect(refusals).to.be.within(1, 20);
    expect(refusedCloses).to.be.within(1, 10);
  });

  it("L2 L3 keeps nothing, and nobody loses anything but to the swap, whatever a random trader does", async () => {
    const next = random(61);
    const pick = <T>(...of: T[]) => of[Math.floor(next() * of.length)] as T;
    const WBTC = local.addresses.tokens["WBTC"]!;
    const markets = [long, short, local.markets["wbtc-usdc"]!];
    const dollar = { [WETH]: ETH / 2_000n, [USD]: USDC, [WBTC]: 2_500n };
    const dollars = (token: string, amount: bigint) => (amount * USDC) / dollar[token]!;
    const worth = (token: string, most: number) => BigInt(Math.floor(next() * most)) * dollar[token]!;
    await local.tokens["WBTC"]!.mint(trader, 2_000_000_000n);

    /** Millionths of a dollar, at the feeds' prices. */
    const wealth = async () => {
      let [total, owed] = [dollars(WETH, await ethers.provider.getBalance(trader)), 0n];
      for (const token of [WETH, USD, WBTC]) total += dollars(token, await balanceOf(token));
      for (const market of markets) {
        const [token, debtToken] = [market.collateral.target as string, market.debt.target as string];
        for (const sub of [0n, 1n]) {
          const { collateral, surplus, debt } = await positionOf(market, sub);
          total += dollars(token, collateral + surplus);
          owed += dollars(debtToken, debt);
        }
      }
      return { total: total - owed, owed };
    };
    for (const { vault, collateral, debt } of markets) {
      await collateral.connect(trader).approve(vault, MaxUint256);
      const put = 30_000n * dollar[collateral.target as string]!;
      const borrow = 10_000n * dollar[debt.target as string]!;
      for (const sub of [0n, 1n]) await vault.connect(trader).adjust(trader, sub, put, borrow, trader, "0x");
    }
    const refusals = new Set<string>();
    let made = 0;
    for (let round = 0; round < 45; round++) {
      const first = pick(0, 1, 2);
      const legs = [markets[first]!, markets[(first + 1) % 3]!].slice(0, pick(1, 1, 1, 2)).map((market) => {
        const more = worth(market.collateral.target as string, 15_000);
        const debt = worth(market.debt.target as string, 8_000);
        const [collateral, borrowed] = pick<[bigint, bigint]>(
          [more, debt],
          [more, -debt],
          [-more, -debt],
          [0n, -debt],
          [ALL, ALL],
        );
        return { market, sub: pick(0n, 1n), collateral, debt: borrowed };
      });
      const { market, collateral } = legs[0]!;
      const tokens: [string, string] = [market.collateral.target as string, market.debt.target as string];
      const token = collateral > 0n ? tokens[0] : tokens[1];
      const route = pick(undefined, tokens, tokens.toReversed(), [WETH, USD, WBTC]);
      const before = await wealth();
      const traded = await trade({
        legs,
        ...(route && { route }),
        exactOut: route !== undefined && next() < 0.5,
        pay: { token, amount: pick(0n, worth(token, 60_000), worth(token, 60_000)) },
        value: pick(0n, worth(WETH, 40_000)),
        more: { unwrap: next() < 0.5 },
      }).catch((error: unknown) => {
        refusals.add(/custom error '(\w+)/.exec(String(error))?.[1] ?? String(error));
        return undefined;
      });
      const after = await wealth();
      if (!traded) {
        await expectEmpty();
        expect(after.total).to.be.within(before.total - before.owed / 1_000_000n - 10n, before.total);
        continue;
      }
      made++;
      const swap = swapIn(traded.receipt)?.args;
      const toSwap = swap ? dollars(swap.tokenIn, swap.sold) - dollars(swap.tokenOut, swap.bought) : 0n;
      const lost = before.total - after.total - dollars(WETH, traded.receipt.fee);
      // A second's interest, and the units that are rounded.
      expect(lost - toSwap).to.be.within(-10n, (before.owed + after.owed) / 1_000_000n + 10n);
    }
    expect(made).to.be.within(15, 40);
    expect([...refusals]).to.include.members(["InsufficientPayment", "LtvTooHigh"]);
    for (const refusal of refusals) expect(refusal).to.match(/^[A-Z]\w+$/); // each by name
  });
});
