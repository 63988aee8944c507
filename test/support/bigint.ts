// Mocha's workers tell what failed as JSON, which knows no bigint: an `expected 5n to be within 1n..2n` would end the run
// without a word of where. Only while no test runs, so that none passes for it.
const prototype = BigInt.prototype as { toJSON?: (this: bigint) => string };

export const mochaHooks = {
  beforeAll(): void {
    delete prototype.toJSON;
  },
  afterAll(): void {
    prototype.toJSON = function () {
      return `${this}n`;
    };
  },
};
