// Prices that move: a slow wave of its own for every asset that is no dollar, deeper in some cycles than in others.

/** Steps of a whole wave. */
const PERIOD = 26;
/** A wave's height lies between these shares of the first price. */
const HEIGHT = { from: 0.08, to: 0.16 };
const NOISE = 0.003;
/** A price that has moved this much since it was last told is news. */
const NEWS = 0.02;

interface Wave {
  first: number;
  phase: number;
  height: number;
  decimals: number;
  price: number;
  told: number;
}

export interface PriceStep {
  moved: Record<string, string>; // decimal texts, by pair
  news: string | undefined;
}

/**
 * Waves around the feeds' first prices, the same for the same `next`. They begin by falling. A step's `level` is what a drill
 * leaves of all prices that are no dollar's; while one runs the waves stand still.
 */
export function wobble(
  feeds: Record<string, { decimals?: number; price?: string }>,
  next: () => number,
): { step: (drill?: { level: number; isRunning: boolean }) => PriceStep } {
  const height = () => HEIGHT.from + (HEIGHT.to - HEIGHT.from) * next();
  const waves = new Map<string, Wave>();
  Object.entries(feeds).forEach(([pair, { price = "0", decimals = 8 }], at) => {
    const first = Number(price);
    waves.set(pair, { first, phase: at * 5, height: HEIGHT.to, decimals, price: first, told: first });
  });
  let count = 0;
  return {
    step({ level, isRunning } = { level: 1, isRunning: false }) {
      if (!isRunning) count++;
      const moved: Record<string, string> = {};
      const news: string[] = [];
      for (const [pair, wave] of waves) {
        const at = count - wave.phase;
        // A dollar stays a dollar: only its round is new.
        const isDollar = wave.first === 1;
        if (!isRunning) {
          if (at > 0 && at % PERIOD === 0) wave.height = height();
          const swing = isDollar || at < 0 ? 0 : -wave.height * Math.sin((2 * Math.PI * at) / PERIOD);
          wave.price = wave.first * (1 + swing + (isDollar ? 0 : NOISE * (next() - 0.5)));
        }
        const price = isDollar ? wave.price : wave.price * level;
        moved[pair] = price.toFixed(Math.min(wave.decimals, 4));
        if (Math.abs(price / wave.told - 1) >= NEWS) {
          wave.told = price;
          const percent = (100 * (price / wave.first - 1)).toFixed(1);
          news.push(`${pair} ${price.toFixed(2)} (${percent} % since the start)`);
        }
      }
      return { moved, news: news.length > 0 ? news.join(", ") : undefined };
    },
  };
}
