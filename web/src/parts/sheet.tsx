import type { ReactNode } from "react";

/** Names and figures, one beneath the other. */
export function Figures({
  rows,
}: {
  rows: readonly (readonly [name: string, figure: ReactNode, words?: ReactNode])[];
}) {
  return (
    <dl className="grid">
      {rows.map(([name, figure, words]) => (
        <div
          key={name}
          className="flex flex-wrap justify-between gap-x-4 border-b border-line py-1.5 last:border-0"
        >
          <dt className="text-muted">{name}</dt>
          <dd className="ml-auto flex-1 basis-36 text-right font-medium">
            {figure}
            {words !== undefined && <span className="block text-sm font-normal text-muted">{words}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

export interface Column {
  name: string;
  /** To the right. */
  isFigure?: boolean;
}

/** Rows of the same things; the first cell names the row. Scrolls by itself where it is wider than the screen. */
export function Sheet({
  caption,
  columns,
  rows,
}: {
  /** For screen readers: what the table is. */
  caption: string;
  columns: readonly Column[];
  rows: readonly { key: string; cells: readonly ReactNode[] }[];
}) {
  return (
    <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={caption}>
      <table className="sheet">
        <caption className="sr-only">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ name, isFigure }) => (
              <th key={name} scope="col" className={isFigure ? "figure" : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, cells }) => (
            <tr key={key}>
              {cells.map((cell, at) =>
                at === 0 ? (
                  <th key={at} scope="row">
                    {cell}
                  </th>
                ) : (
                  <td key={at} className={columns[at]?.isFigure ? "figure" : undefined}>
                    {cell}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
