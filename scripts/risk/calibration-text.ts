// A calibration as tables, words and a picture. Pure.
import { withPart } from "../page.ts";
import { type Backtest, leverageOffered, type Loss } from "./calibrate.ts";
import type { Calibration } from "./calibration.ts";
import { drawFrontier } from "./frontier.ts";
import type { Terms } from "./market.ts";
import { STEP_SECONDS } from "./paths.ts";

const STEP_MINUTES = STEP_SECONDS / 60;

const percent = (share: number, digits = 2) => `${(100 * share).toFixed(digits)} %`;
const bpsPercent = (bps: bigint) => percent(Number(bps) / 1e4, 2).replace(/\.?0+ %/, " %");
const amount = (value: number) =>
  value >= 1e6
    ? `${Number((value / 1e6).toPrecision(3))}M`
    : value >= 1e4
      ? `${Number((value / 1e3).toPrecision(3))}k`
      : `${Number(value.toPrecision(3))}`;
const hours = (steps: number) => (steps === 0 ? "0" : `${(steps * STEP_MINUTES) / 60} h`);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [row(head), row(head.map(() => "---")), ...rows.map(row)].join("\n");
}

const TERMS = ["max LTV", "leverage", "LT", "target", "bonus", "slope", "step", "debt cap"] as const;
function termsCells(terms: Terms, cap: number, unit: string): string[] {
  return [
    bpsPercent(terms.maxLtv),
    `${leverageOffered(terms).toFixed(2)}×`,
    bpsPercent(terms.liquidationThreshold),
    bpsPercent(terms.target),
    `${bpsPercent(terms.bonusMin)} … ${bpsPercent(terms.bonusMax)}`,
    `${Number(terms.slope) / 1e4}`,
    `${terms.spacing / 100} %`,
    `${amount(cap)} ${unit}`,
  ];
}

/** What was chosen on each part, and what is deployed. */
export function termsTable({ fits, deployed, debt }: Calibration): string {
  return table(
    ["", ...TERMS],
    [
      ["deployed", ...termsCells(deployed.terms, deployed.cap, debt)],
      ...fits.map(({ part, cap, choice }) => [
        `fitted on the ${part} part`,
        ...termsCells(choice!.terms, cap, debt),
      ]),
    ],
  );
}

/** The same on the part that they were fitted on, and on the other. */
export function backtestTable({ fits, deployed, goal }: Calibration): string {
  const bound = `at ${percent(goal.confidence, 0)} at most`;
  const cells = (test: Backtest) => [
    percent(test.mean),
    percent(test.bound),
    percent(test.worst),
    percent(test.penalty, 1),
    hours(test.underWater),
  ];
  const rows = [
    ["deployed", "first part", ...cells(deployed.first), ""],
    ["deployed", "last part", ...cells(deployed.last), ""],
    ...fits.flatMap(({ part, choice, onFit, onUnseen }) => {
      const name = `fitted on the ${part} part`;
      const kept = (loss: Loss) => (loss.bound <= goal.epsilon ? "yes" : "**no**");
      return [
        [
          name,
          `${part} part, and drawn days`,
          percent(choice!.loss.mean),
          percent(choice!.loss.bound),
          ...cells(onFit!).slice(2),
          kept(choice!.loss),
        ],
        [
          name,
          `**unseen: ${part === "first" ? "last" : "first"} part**`,
          ...cells(onUnseen!),
          kept(onUnseen!),
        ],
      ];
    }),
  ];
  return table(
    ["parameters", "days", "bad debt a year", bound, "worst day", "penalty a year", "longest wait", "kept"],
    rows,
  );
}

export function roomTable({ chosen, debt, goal }: Calibration): string {
  const rows = chosen.rooms.map(({ cap, terms, hours: waited }) => [
    `${amount(cap)} ${debt}`,
    terms === undefined ? "none" : bpsPercent(terms.liquidationThreshold),
    terms === undefined ? "–" : `${leverageOffered(terms).toFixed(2)}×`,
    terms === undefined ? "–" : `${waited} h${waited > goal.clearHours ? " (too long)" : ""}`,
  ]);
  return table(["debt cap", "highest LT", "leverage", "longest wait"], rows);
}

export function othersTable({ others, goal }: Calibration): string {
  const cell = ({ mean, bound }: Loss) => `${percent(mean)} (${percent(bound)})`;
  return table(
    [`mean (at ${percent(goal.confidence, 0)} at most), whole history`, "calibrated", "deployed"],
    others.map(({ what, chosen, deployed }) => [what, cell(chosen), cell(deployed)]),
  );
}

export function calibrationText(result: Calibration): string {
  const { prices, goal, chosen } = result;
  const span = ({ from, to, days }: { from: string; to: string; days: number }) =>
    `${from.slice(0, 10)} to ${to.slice(0, 10)}, ${days.toFixed(0)} days`;
  const unseen = chosen.onUnseen!.bound <= goal.epsilon;
  return [
    `${result.market}: ${prices.name}${prices.generated ? "" : `; first part ${span(prices.parts.first)}; last part ${span(prices.parts.last)}`}`,
    ...prices.odd.map((what) => `  ${what}`),
    `Goal: bad debt of at most ${percent(goal.epsilon)} of the debt a year at ${percent(goal.confidence, 0)}; depth ${amount(result.depth)} ${result.debt} within 2 %`,
    "",
    termsTable(result),
    "",
    backtestTable(result),
    "",
    roomTable(result),
    "",
    othersTable(result),
    "",
    `Chosen: fitted on the ${chosen.part} part; on days that it has not seen it ${unseen ? "keeps" : "does NOT keep"} the goal.`,
  ].join("\n");
}

/** The desk's commands that bring a market there; a threshold falls by a ramp only. */
export function deskCommands({ market, chosen, deployed }: Calibration, file: string): string[] {
  const { terms } = chosen.choice;
  const falls =
    terms.liquidationThreshold < deployed.terms.liquidationThreshold || terms.target < deployed.terms.target;
  const risk = falls ? "start-ramp" : "set-risk";
  return [
    `npm run desk -- propose ${risk} --market ${market} --parameters ${file}${falls ? " --over 14d" : ""}`,
    `npm run desk -- propose set-caps --market ${market} --parameters ${file}`,
  ];
}

export function picture(result: Calibration): string {
  const { chosen, deployed, frontier: points, goal, debt, prices } = result;
  return drawFrontier({
    title: `${result.market}: leverage offered against bad debt`,
    subtitle: `${prices.name}, fitted on its ${chosen.part} part; a curve for each debt cap`,
    confidence: percent(goal.confidence, 0),
    epsilon: goal.epsilon,
    curves: [...new Set(points.map(({ cap }) => cap))].map((cap) => ({
      label: `${amount(cap)} ${debt}`,
      points: points
        .filter((point) => point.cap === cap)
        .map(({ terms, loss }) => ({ leverage: leverageOffered(terms), loss: loss.bound })),
    })),
    marks: [
      { label: "calibrated", leverage: leverageOffered(chosen.choice.terms), loss: chosen.choice.loss.bound },
      {
        label: "calibrated, unseen days",
        leverage: leverageOffered(chosen.choice.terms),
        loss: chosen.onUnseen!.bound,
      },
      {
        label: `deployed (${amount(deployed.cap)}), all days`,
        leverage: leverageOffered(deployed.terms),
        loss: deployed.loss.bound,
      },
    ],
  });
}

/** The page with a result's tables in place of those it has. */
export function withTables(page: string, result: Calibration): string {
  const tables = {
    terms: termsTable(result),
    backtest: backtestTable(result),
    caps: roomTable(result),
    others: othersTable(result),
  };
  return Object.entries(tables).reduce((text, [name, content]) => withPart(text, name, content), page);
}
