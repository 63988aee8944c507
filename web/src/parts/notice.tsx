import type { ReactNode } from "react";

const KINDS = {
  note: { frame: "border-line bg-surface", ink: "text-accent", sign: "i", name: "Note" },
  good: { frame: "border-accent bg-accent-soft", ink: "text-accent", sign: "✓", name: "Done" },
  warning: { frame: "border-warn bg-warn-soft", ink: "text-warn", sign: "!", name: "Warning" },
  danger: { frame: "border-danger bg-danger-soft", ink: "text-danger", sign: "×", name: "Problem" },
};

/** A sentence or two that the reader must not miss; the kind is told by word and sign too. */
export function Notice({
  kind = "note",
  title,
  action,
  children,
}: {
  kind?: keyof typeof KINDS;
  title?: string;
  action?: ReactNode;
  children?: ReactNode;
}) {
  const { frame, ink, sign, name } = KINDS[kind];
  return (
    <div
      role={kind === "danger" ? "alert" : "status"}
      className={`flex flex-wrap items-start gap-x-3 gap-y-2 rounded-lg border px-4 py-3 ${frame}`}
    >
      <span
        aria-hidden
        className={`mt-0.5 grid size-5 place-items-center rounded-full border text-sm font-semibold ${ink}`}
      >
        {sign}
      </span>
      <div className="min-w-0 flex-1 basis-60">
        <span className="sr-only">{name}: </span>
        {title !== undefined && <p className="font-semibold">{title}</p>}
        {children}
      </div>
      {action}
    </div>
  );
}

/** Where something will be: says what is being read, and keeps its place. */
export function Loading({ what }: { what: string }) {
  return (
    <div role="status" className="grid min-h-24 place-items-center text-muted">
      <p className="motion-safe:animate-pulse">Reading {what} …</p>
    </div>
  );
}

/** Where there is nothing: why, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="rounded-lg border border-dashed border-strong-line px-4 py-8 text-center">
      <p className="font-semibold">{title}</p>
      {children !== undefined && <div className="mx-auto mt-1 max-w-prose text-muted">{children}</div>}
    </div>
  );
}
