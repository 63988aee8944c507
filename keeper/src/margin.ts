// When a position's owner is called: pure, synchronous, no clock.

const WAD = 10n ** 18n;

/** How far the price may be from liquidation, WAD of the price now, farthest first. */
export type Distances = readonly [bigint, bigint, bigint];

/** How many of the distances were told of; kept until the price is well away again. */
export type Level = 0 | 1 | 2 | 3;

export const DEFAULT_DISTANCES: Distances = [WAD / 10n, WAD / 20n, WAD / 50n];

/** Beyond a distance by this much the next crossing counts again: a price that moves to and fro around it makes one call. */
const ROOM = { numerator: 11n, denominator: 10n };

/** What the price may fall, WAD of the price now, until `health` (WAD) is 1; negative: it is past that. */
export function distanceOf(health: bigint): bigint {
  const divisor = health > 0n ? health : 1n;
  return WAD - (WAD * WAD + divisor - 1n) / divisor;
}

/** The level after `told`, when the price may fall by `distance`: a rise is a call, a fall only comes with room. */
export function levelOf(told: Level, distance: bigint, distances: Distances): Level {
  const reached = distances.filter((each) => distance <= each).length as Level;
  const kept = distances.filter((each) => distance * ROOM.denominator <= each * ROOM.numerator)
    .length as Level;
  return reached > told ? reached : kept < told ? kept : told;
}
