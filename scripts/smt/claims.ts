// What scripts/smt.ts proves. Bounds are those of docs/audit/arithmetic.md: B1 to B9.

export interface Claim {
  name: string;
  library: string;
  functions: string[];
  structs?: string[];
  /** `unchecked` stays: it is meant to wrap. */
  wraps?: true;
  /** Parameters: any value of their types. */
  given: string;
  /** Solidity; `require` narrows, `assert` claims. Every operation on the way is checked too. */
  says: string;
}

/** What the excerpts call: OpenZeppelin's and Solady's functions, by what they do. */
export const AXIOMS = `
library Math {
    function ceilDiv(uint256 a, uint256 b) internal pure returns (uint256) {
        require(b != 0);
        return a == 0 ? 0 : (a - 1) / b + 1;
    }
    function saturatingSub(uint256 a, uint256 b) internal pure returns (uint256) { return a > b ? a - b : 0; }
    function min(uint256 a, uint256 b) internal pure returns (uint256) { return a < b ? a : b; }
    function max(uint256 a, uint256 b) internal pure returns (uint256) { return a > b ? a : b; }
}
library FixedPointMathLib {
    function rawDiv(uint256 a, uint256 b) internal pure returns (uint256) { return a / b; }
    function rawSub(uint256 a, uint256 b) internal pure returns (uint256) { return a - b; }
    function rawMul(uint256 a, uint256 b) internal pure returns (uint256) { return a * b; }
    function rawAdd(uint256 a, uint256 b) internal pure returns (uint256) { return a + b; }
    function zeroFloorSub(uint256 a, uint256 b) internal pure returns (uint256) { return a > b ? a - b : 0; }
    function max(uint256 a, uint256 b) internal pure returns (uint256) { return a > b ? a : b; }
    function min(uint256 a, uint256 b) internal pure returns (uint256) { return a < b ? a : b; }
    function divUp(uint256 a, uint256 b) internal pure returns (uint256) {
        require(b != 0);
        return a == 0 ? 0 : (a - 1) / b + 1;
    }
    // e^20 < 486e6 and the side of 1: all that is used of the exponential.
    function expWad(int256 x) internal pure returns (int256 y) {
        assert(x >= -20e18 && x <= 20e18);
        y = int256(uint256(keccak256(abi.encode(x))));
        require(y >= 0 && y <= 486e24 && (x < 0 || y >= 1e18) && (x > 0 || y <= 1e18));
    }
}`;

/** A token of 6 to 24 decimals, debt units of 18 decimals. */
const DEBT_SCALE = `require((u.debtMultiplier == 1 && u.debtDivisor >= 1 && u.debtDivisor <= 1e6) ||
            (u.debtDivisor == 1 && u.debtMultiplier >= 1 && u.debtMultiplier <= 1e12));`;
/** Collateral units of 6 to 18 decimals. */
const COLLATERAL_SCALE = `require((u.collateralMultiplier == 1 && u.collateralDivisor >= 1 && u.collateralDivisor <= 1e18) ||
            (u.collateralDivisor == 1 && u.collateralMultiplier >= 1 && u.collateralMultiplier <= 1e12));`;
const RATE = `require(u <= 1e18 && start >= uint256(AdaptiveRate.MIN) && start <= uint256(AdaptiveRate.MAX));`;

export const CLAIMS: Claim[] = [
  {
    name: "Market: book debt into debt units",
    library: "Market",
    functions: ["unitsDown", "unitsUp"],
    given: "uint104 book, uint104 index",
    says: `require(index >= Market.BORROW_INDEX_ONE);
        uint256 down = Market.unitsDown(book, index);
        uint256 up = Market.unitsUp(book, index);
        assert(down <= up && up <= down + 1 && up <= 1 << 136);
        assert(down >= book);`,
  },
  {
    name: "Market: debt units into book debt",
    library: "Market",
    functions: ["bookDown", "bookUp"],
    given: "uint256 units, uint104 index",
    says: `require(index >= Market.BORROW_INDEX_ONE && units < 1 << 168);
        uint256 down = Market.bookDown(units, index);
        uint256 up = Market.bookUp(units, index);
        assert(down <= up && up <= down + 1 && up <= units);`,
  },
  {
    name: "Market: whoever pays all debt units owes nothing",
    library: "Market",
    functions: ["unitsUp", "bookDown"],
    given: "uint104 book, uint104 index",
    says: `require(index >= Market.BORROW_INDEX_ONE);
        assert(Market.bookDown(Market.unitsUp(book, index), index) >= book);`,
  },
  {
    name: "Market: a budget in book debt never costs more",
    library: "Market",
    functions: ["unitsUp", "bookDown"],
    given: "uint256 units, uint104 index",
    says: `require(index >= Market.BORROW_INDEX_ONE && units < 1 << 168);
        assert(Market.unitsUp(Market.bookDown(units, index), index) <= units);`,
  },
  {
    name: "Market: the tokens that close a debt cover its units",
    library: "Market",
    functions: ["debtTokensUp", "debtUnitsDown"],
    structs: ["Units"],
    given: "Market.Units memory u, uint256 units",
    says: `${DEBT_SCALE}
        require(units <= 1 << 136);
        uint256 tokens = Market.debtTokensUp(units, u);
        assert(Market.debtUnitsDown(tokens, u) >= units);`,
  },
  {
    name: "Market: what is repaid never exceeds the budget in tokens",
    library: "Market",
    functions: ["debtTokensUp", "debtUnitsDown"],
    structs: ["Units"],
    given: "Market.Units memory u, uint128 tokens",
    says: `${DEBT_SCALE}
        assert(Market.debtTokensUp(Market.debtUnitsDown(tokens, u), u) <= tokens);`,
  },
  {
    name: "Market: surplus that is withdrawn is there",
    library: "Market",
    functions: ["collateralTokensDown", "collateralUnitsUp", "collateralUnitsDown"],
    structs: ["Units"],
    given: "Market.Units memory u, uint96 surplus, uint128 amount",
    says: `${COLLATERAL_SCALE}
        Market.collateralUnitsDown(amount, u);
        if (amount <= Market.collateralTokensDown(surplus, u)) assert(Market.collateralUnitsUp(amount, u) <= surplus);`,
  },
  {
    name: "Market: insolvency is compared without overflow",
    library: "Market",
    functions: ["isInsolvent"],
    given: "uint192 ratio, uint256 price, uint16 bonus",
    says: `require(price < 1 << 233);
        Market.isInsolvent(ratio, price, bonus);`,
  },
  {
    name: "TickBook: shares across a link",
    library: "TickBook",
    functions: ["acrossLink"],
    given: "uint128 shares, uint80 from, uint80 to",
    says: `require(to >= TickBook.INDEX_MIN);
        uint256 parent = TickBook.acrossLink(shares, from, to);
        assert(parent * to <= uint256(shares) * from);
        assert(parent < 1 << 145);`,
  },
  {
    name: "TickBook: a position's debt",
    library: "TickBook",
    functions: ["debtOf"],
    given: "uint32 count, uint104 nodeDebt, uint80 index, uint256 shares",
    says: `require(shares < 1 << 145);
        uint256 debt = TickBook.debtOf(count, nodeDebt, index, shares);
        if (count != 1) assert(debt * TickBook.INDEX_ONE <= shares * index);
        else assert(debt == nodeDebt);`,
  },
  {
    name: "TickBook: shares of a new member, and back",
    library: "TickBook",
    functions: [],
    given: "uint104 debt, uint80 index",
    says: `require(index >= TickBook.INDEX_MIN && index <= TickBook.INDEX_ONE);
        uint256 shares = (uint256(debt) * TickBook.INDEX_ONE) / index;
        assert(shares < 1 << 120);
        assert((shares * index) / TickBook.INDEX_ONE <= debt);
        assert((shares * index) / TickBook.INDEX_ONE + 1 >= debt);`,
  },
  {
    name: "TickBook: collateral behind a debt",
    library: "TickBook",
    functions: ["behindDown", "behindUp"],
    given: "uint104 debt, uint192 ratio",
    says: `require(ratio >= 1 << 64);
        uint256 down = TickBook.behindDown(debt, ratio);
        uint256 up = TickBook.behindUp(debt, ratio);
        assert(down <= up && up <= down + 1 && up <= 1 << 168);`,
  },
  {
    name: "Sale: the sale price",
    library: "Sale",
    functions: ["salePrice"],
    structs: ["Terms"],
    given: "Sale.Terms memory t, uint256 ratio",
    says: `require(t.high >= 1 << 32 && t.high < 1 << 127 && t.slope < 1 << 32);
        require(t.bonusMin <= 7e18 && t.bonusMax <= 7e18 && t.threshold <= 7e18 && t.bonusGap < 1 << 189);
        require(ratio > 0 && ratio < 1 << 192);
        assert(Sale.salePrice(t, ratio) <= t.high);`,
  },
  {
    name: "Sale: the gain",
    library: "Sale",
    functions: ["gain"],
    given: "uint256 w, uint256 ratio",
    says: `require(w < 1 << 127 && ratio > 0 && ratio < 1 << 192);
        uint256 g = Sale.gain(w, ratio);
        assert(w > ratio ? g * ratio <= (w - ratio) * 2 ** 128 : g == 0);`,
  },
  {
    name: "Sale: what a move leaves, by its gains",
    library: "Sale",
    functions: ["gain"],
    given: "uint104 debt, uint256 w, uint256 from, uint256 to",
    says: `require(to > 0 && to < from && to < w && w < 1 << 127 && from < 1 << 192 && w / to < 1 << 14);
        uint256 num = Sale.gain(w, from);
        uint256 den = Sale.gain(w, to);
        assert(den > 0 && num <= den);
        uint256 left = FixedPointMathLib.divUp(debt * num, den);
        assert(left <= debt);
        assert(debt * num <= left * den);`,
  },
  {
    name: "PriceMath: the inverse of a price is one",
    library: "PriceMath",
    functions: ["inverse"],
    wraps: true,
    given: "uint256 low, uint256 high",
    says: `require(low >= PriceMath.MIN && low <= high && high <= PriceMath.MAX);
        (uint256 a, uint256 b) = PriceMath.inverse(low, high);
        assert(a <= b);
        assert(a >= PriceMath.MIN && b <= PriceMath.MAX);`,
  },
  {
    name: "AdaptiveRate: rates stay within their bounds",
    library: "AdaptiveRate",
    functions: ["accrue", "_adapt", "_curve"],
    given: "uint256 u, uint256 start, uint32 elapsed",
    says: `${RATE}
        (uint256 rate, uint256 end) = AdaptiveRate.accrue(u, start, elapsed);
        assert(rate <= 4 * uint256(AdaptiveRate.MAX));
        assert(end >= uint256(AdaptiveRate.MIN) && end <= uint256(AdaptiveRate.MAX));`,
  },
  {
    name: "AdaptiveRate: growth, and the index that it makes",
    library: "AdaptiveRate",
    functions: ["growth"],
    given: "uint256 exponent, uint104 index",
    says: `uint256 growth = AdaptiveRate.growth(exponent);
        assert(growth >= 1e18 && growth <= 486e24);
        assert(Math.ceilDiv(index * growth, 1e18) >= index);`,
  },
  {
    name: "Funding: the target is at most the full rate",
    library: "Funding",
    functions: ["targetOf"],
    structs: ["Terms"],
    given: "uint80 long, uint80 short, uint256 deadBand, uint80 floor",
    says: `require(floor > 0 && deadBand <= 0.5e18);
        int256 target = Funding.targetOf(long, short, Funding.Terms(deadBand, 1 hours, floor));
        assert(target <= 1e18 && target >= -1e18);
        assert(long < short || target >= 0);
        assert(long > short || target <= 0);`,
  },
];
