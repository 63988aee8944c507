import { expect } from "chai";

/** For fractions: `closeTo` is Hardhat's once a test has opened a network, and takes whole numbers only. */
export function near(actual: number, expected: number, tolerance: number, what = ""): void {
  expect(Math.abs(actual - expected), `${what}: ${actual}, expected ${expected}`).to.be.at.most(tolerance);
}
